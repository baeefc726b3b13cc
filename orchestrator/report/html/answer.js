// What is said of a deadline that was typed and lies between those that were computed.

function moveAnswer(task) {
  const clock = task.clocks[task.clock], between = task.section.querySelector("[data-between]"), ns = clock.ns[task.at];
  between.hidden = task.asked === null;
  between.textContent = `No figures were computed at ${task.asked / 1e6} ms itself: all that is shown is of ${ns / 1e6} ms, the nearest that was.`;
}
