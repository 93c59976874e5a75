"use strict";
function number(text) {
  return /^[+-]?[0-9][0-9,]*([.][0-9]+)?(e[+-]?[0-9]+)?$/i.test(text) ? parseFloat(text.replace(/,/g, "")) : NaN;
}
function keyOf(row, column) {
  const cell = row.cells[column];
  const text = cell.textContent.trim();
  const value = "value" in cell.dataset ? parseFloat(cell.dataset.value) : number(text);
  return { text, value, empty: text === "" };
}
function compare(a, b) {
  if (a.empty || b.empty) return a.empty - b.empty;
  if (!Number.isNaN(a.value) && !Number.isNaN(b.value)) return a.value - b.value;
  return a.text.localeCompare(b.text, undefined, { numeric: true });
}
function sortBy(head) {
  const table = head.closest("table");
  const column = head.cellIndex;
  const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
  const rows = Array.from(table.tBodies[0].rows, (row) => ({ row, key: keyOf(row, column) }));
  rows.sort((a, b) => (a.key.empty || b.key.empty ? 1 : direction) * compare(a.key, b.key));
  table.tBodies[0].append(...rows.map((entry) => entry.row));
}
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sortBy(button.closest("th")));
}
for (const field of document.querySelectorAll("input.filter")) {
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    for (const row of field.closest("section").querySelectorAll("tbody tr")) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
    }
  });
}
const dialog = document.querySelector("dialog");
function show(details) {
  dialog.querySelector("h2").textContent = details.querySelector("summary").textContent;
  dialog.querySelector(".content").replaceChildren(details.querySelector("dl").cloneNode(true));
  dialog.showModal();
  dialog.scrollTop = 0;
}
for (const link of document.querySelectorAll("a.record")) {
  link.addEventListener("click", (event) => {
    const details = document.getElementById(link.getAttribute("href").slice(1));
    if (!details || !dialog.showModal) return;
    event.preventDefault();
    show(details);
  });
}
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
