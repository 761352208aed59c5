// Draws the rows it is given and sorts them; a chosen row's id goes to Python as the trigger `chosen`.
const states = new WeakMap();

const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== "") element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
};

const order = (rows, { column, direction }) => {
  if (direction === 0) return rows;
  const known = (row) => row.cells[column].sort;
  return [...rows].sort((left, right) => {
    const [a, b] = [known(left), known(right)];
    if (a === null || b === null) return (a === null) - (b === null);
    return direction * (typeof a === "string" ? a.localeCompare(b) : a - b);
  });
};

const drawCell = (cell, column, link) => {
  const classes = [column.is_number && "number", column.is_wide && "wide", cell.sort === null && "none"];
  const td = make("td", { class: classes.filter(Boolean).join(" ") });
  td.append(link ? make("a", { href: link }, cell.text) : cell.text);
  if (cell.bar_ratio !== null) {
    const fill = make("i");
    fill.style.width = `${Math.max(0, Math.min(1, cell.bar_ratio)) * 100}%`;
    td.append(make("span", { class: "bar", "aria-hidden": "true" }, fill));
  }
  if (cell.note) td.append(make("small", {}, cell.note));
  return td;
};

export default function ({ data, parentElement, setTriggerValue }) {
  const state = states.get(parentElement) ?? { column: -1, direction: 0, scroll: 0 };
  states.set(parentElement, state);
  const linkColumn = Math.max(0, data.columns.findIndex((column) => column.is_wide));

  const choose = (event, row) => {
    if (!data.isClickable || event.ctrlKey || event.metaKey || event.shiftKey || event.button > 0) return;
    if (parentElement.getSelection?.()?.toString()) return; // the reader is copying text
    event.preventDefault();
    setTriggerValue("chosen", row.id);
  };

  const drawHead = () => {
    const cells = data.columns.map((column, index) => {
      const shown = state.direction !== 0 ? state.column === index : data.sortedBy === index;
      const direction = state.direction || (data.isDescending ? -1 : 1);
      const mark = make("span", { class: "mark", "aria-hidden": "true" });
      mark.textContent = shown ? (direction < 0 ? "↓" : "↑") : "";
      const button = make("button", { type: "button" }, column.label);
      if (column.unit) button.append(make("span", { class: "unit" }, `, ${column.unit}`));
      if (column.is_number) button.prepend(mark);
      else button.append(mark);
      button.onclick = () => {
        state.direction = shown ? -direction : column.is_number ? -1 : 1;
        state.column = index;
        draw(true);
      };
      const sort = shown ? (direction < 0 ? "descending" : "ascending") : null;
      return make("th", { scope: "col", class: column.is_number ? "number" : "", "aria-sort": sort }, button);
    });
    return make("thead", {}, make("tr", {}, ...cells));
  };

  const drawRow = (row) => {
    const classes = ["row", data.isClickable && "clickable", row.id === data.selected && "selected"];
    const cells = row.cells.map((cell, index) =>
      drawCell(cell, data.columns[index], index === linkColumn && row.href),
    );
    const tr = make("tr", { class: classes.filter(Boolean).join(" ") }, ...cells);
    if (row.id === data.selected) tr.setAttribute("aria-selected", "true");
    tr.onclick = (event) => choose(event, row);
    return tr;
  };

  // A row chosen elsewhere (in the chart, by address) comes into sight; the reader's own scrolling is kept.
  const reveal = (frame) => {
    if (state.selected === data.selected) return;
    state.selected = data.selected;
    const row = frame.querySelector("tr.selected");
    if (!row || (row.offsetTop >= frame.scrollTop + 40 && row.offsetTop < frame.scrollTop + frame.clientHeight - 60)) return;
    frame.scrollTo({ top: row.offsetTop - frame.clientHeight / 3, left: frame.scrollLeft });
  };

  const draw = (keepsFocus) => {
    const old = parentElement.querySelector(".frame");
    const scroll = { top: old?.scrollTop ?? 0, left: old?.scrollLeft ?? 0 };
    const body = make("tbody", {}, ...order(data.rows, state).map(drawRow));
    const frame = make(
      "div",
      { class: "frame", role: "region", "aria-label": data.label, tabindex: "0" },
      make("table", { "aria-label": data.label }, drawHead(), body),
    );
    if (old) old.replaceWith(frame);
    else parentElement.append(frame);
    frame.scrollTo(scroll);
    reveal(frame);
    if (keepsFocus) frame.querySelectorAll("th button")[state.column]?.focus();
  };

  draw(false);
}
