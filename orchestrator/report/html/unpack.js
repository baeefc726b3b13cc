"use strict";
// What the page holds compressed: the number of bytes, a space, and two letters of 91 for every 13 bits.
const LETTERS = Array.from({ length: 94 }, (_, place) => String.fromCharCode(33 + place)).filter(letter => !"<&>".includes(letter)).join("");

function fromLetters(text) {
  const digits = new Uint8Array(128), from = text.indexOf(" ") + 1, bytes = new Uint8Array(Number(text.slice(0, from)));
  for (let digit = 0; digit < LETTERS.length; digit++) digits[LETTERS.charCodeAt(digit)] = digit;
  let bits = 0, held = 0, to = 0;
  for (let place = from; to < bytes.length; place += 2) {
    bits = (bits << 13 | digits[text.charCodeAt(place)] * LETTERS.length + digits[text.charCodeAt(place + 1)]) & 0xfffff;
    for (held += 13; held >= 8 && to < bytes.length; held -= 8) bytes[to++] = bits >> held - 8;
  }
  return bytes;
}

function unpacked(name) {
  const bytes = fromLetters(document.getElementById(`packed-${name}`).textContent);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
}

(async () => {
  if (typeof DecompressionStream === "undefined") { document.getElementById("no-figures").hidden = false; return; }
  const [code, data, arrays] = await Promise.all([unpacked("code"), unpacked("data"), unpacked("arrays")]);
  const text = bytes => new TextDecoder().decode(bytes);
  // The page's policy holds the hash of this script: nothing else would run.
  const script = document.createElement("script");
  script.textContent = text(code);
  document.head.append(script);
  start(JSON.parse(text(data)), arrays);
})();
