"use strict";
// Numbers as text: the same rules as the tables of the report.
// As quality() of report/text.py: the nearest, of two equally near the even one (sixteenths alone lie halfway), and 1.000 for 1 alone.
const nearest = value => {
  const down = Math.floor(value * 1000), halfway = Number.isInteger(value * 16) && value * 16 % 2 !== 0;
  let decimals = 3, text = halfway ? ((down + down % 2) / 1000).toFixed(3) : value.toFixed(3);
  while (value < 1 - 1e-12 && Number(text) >= 1) text = value.toFixed(++decimals);
  return text;
};
const cut = value => (Math.trunc(value * 1000 + 1e-9) / 1000).toFixed(3);
const within = (low, high, ideal) => {
  let lower = cut(low), upper = (Math.ceil(high * 1000 - 1e-9) / 1000).toFixed(3);
  if (ideal !== undefined) {
    const written = nearest(ideal), below = high <= ideal + 1e-6;
    if (below && Number(upper) > Number(written)) upper = written;
    if (!below && low >= ideal - 1e-6 && Number(lower) < Number(written)) lower = written;
  }
  return `[${lower}, ${upper}]`;
};
const milliseconds = ns => {
  const ms = ns / 1e6;
  if (ms >= 100) return `${ms.toFixed(0)} ms`;
  if (ms >= 10) return `${ms.toFixed(1)} ms`;
  return ms >= 1 ? `${ms.toFixed(2)} ms` : `${Number(ms.toPrecision(3))} ms`;
};
// Plotly reads its labels as a kind of HTML.
const plain = text => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
