"use strict";
// Sorts tables by a column: numbers by value, other cells part by part, the numbers in them by value; what is missing
// stays last. Without this script the tables are as they were written.
(() => {
  const parts = (text) => text.split(/(\d+(?:\.\d+)?)/).map((p, i) => (i % 2 ? Number(p) : p));
  const value = (cell) => cell.textContent.trim();
  const missing = (text) => text === "" || text === "\u2013";
  const number = (text) => parseFloat(text.replace(/^[^\d+-]+/, ""));

  function compare(a, b) {
    const x = parts(a), y = parts(b);
    for (let i = 0; i < Math.min(x.length, y.length); i++) {
      if (x[i] === y[i]) continue;
      if (i % 2) return x[i] - y[i];
      return x[i] < y[i] ? -1 : 1;
    }
    return x.length - y.length;
  }

  function order(table, column, sign) {
    const numeric = table.tHead.rows[0].cells[column].classList.contains("n");
    const rows = [...table.tBodies[0].rows].map((row) => ({ row, text: value(row.cells[column]) }));
    rows.sort((a, b) => {
      if (missing(a.text) || missing(b.text)) return missing(a.text) - missing(b.text);
      return sign * (numeric ? number(a.text) - number(b.text) : compare(a.text, b.text));
    });
    table.tBodies[0].append(...rows.map((r) => r.row));
  }

  function sort(table, column) {
    const heads = [...table.tHead.rows[0].cells];
    const up = heads[column].getAttribute("aria-sort") !== "ascending";
    order(table, column, up ? 1 : -1);
    heads.forEach((h) => h.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", up ? "ascending" : "descending");
  }

  const tables = [...document.querySelectorAll("table.sortable")];
  for (const table of tables) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = "sort";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, column));
      head.append(button);
    });
  }

  // report.html#selftest: presses every button, then says in data attributes of the root what came of it.
  if (location.hash !== "#selftest") return;
  let pressed = 0, lost = 0, blank = 0;
  for (const table of tables) {
    const before = table.tBodies[0].rows.length;
    for (const button of table.tHead.querySelectorAll("button")) {
      button.click();
      pressed++;
    }
    if (table.tBodies[0].rows.length !== before) lost++;
  }
  const figures = [...document.querySelectorAll(".figure svg")];
  for (const svg of figures) {
    const box = svg.getBoundingClientRect();
    const broken = [...svg.querySelectorAll("use")].some((use) => {
      const target = document.getElementById(use.getAttribute("xlink:href").slice(1));
      return !target || target.closest("svg") !== svg;
    });
    if (!(box.width > 100 && box.height > 50) || broken) blank++;
  }
  const root = document.documentElement.dataset;
  root.tables = `${tables.length} tables, ${pressed} columns sorted, ${lost} lost rows`;
  root.figures = `${figures.length} figures, ${blank} broken`;
  root.width = `${document.documentElement.scrollWidth <= window.innerWidth ? "fits" : "too wide"}`;
})();
