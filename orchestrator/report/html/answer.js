// The answers at the deadline that is chosen: those that Python wrote for each place of the slider.

function pieceOf([text, href, kind]) {
  if (!href && !kind) return text;
  const piece = made(href ? "a" : kind === "command" ? "code" : "span", text);
  if (href) piece.href = href; else if (kind !== "command") piece.className = kind;
  return piece;
}

function detailOf(lines) {
  return lines.map(line => { const place = made("span"); place.className = "line"; place.append(...line.map(pieceOf)); return place; });
}

function moveAnswer(task) {
  const clock = task.clocks[task.clock], between = task.section.querySelector("[data-between]"), ns = clock.ns[task.at];
  between.hidden = task.asked === null;
  between.textContent = `No figures were computed at ${task.asked / 1e6} ms itself: all that is shown is of ${ns / 1e6} ms, the nearest that was.`;
  const at = task.answers.at[task.clock];
  if (!at) return;
  const answer = task.answers.said[at[task.at]], near = task.asked === null ? "" : `, the nearest computed to ${task.asked / 1e6} ms`;
  const inList = document.getElementById(`in-short-${task.number}`);
  task.section.querySelectorAll("[data-answer]").forEach(row => row.remove());
  task.section.querySelector(".answer dl").prepend(...answer.rows.map(([question, short, lines], index) => {
    const row = made("div"), told = made("dd");
    row.dataset.answer = index;
    row.classList.toggle("doubt", index === answer.rows.length - 1 && lines.length > 0);
    told.append(made("strong", short), ...detailOf(lines));
    row.append(made("dt", question + (index ? "" : near)), told);
    return row;
  }));
  inList?.querySelectorAll("[data-answer-of]").forEach((cell, index) => {
    const [, short, lines] = answer.rows[index] ?? ["", "", []];
    cell.replaceChildren(made("strong", short), ...detailOf(lines));
  });
  const within = inList?.querySelector("[data-within-of]");
  if (within) within.textContent = answer.rows[0][0].replace(/^.* within /, "within ") + near;
  const models = task.section.querySelector("[data-models]");
  models?.replaceChildren(...answer.models.map(cells => {
    const line = made("tr");
    line.append(...cells.map((cell, place) => made(place ? "td" : "th", cell)));
    line.firstChild.scope = "row";
    return line;
  }));
}
