// What the pointer reads off a curve, and the theme button of a report.

const SVG = "http://www.w3.org/2000/svg";

/** Show the values nearest to the pointer, beside a line through all curves of the chart. */
function readOff(chart, event) {
  const curves = JSON.parse(chart.dataset.curves);
  const box = chart.getBoundingClientRect();
  const at = ((event.clientX - box.left) / box.width) * chart.viewBox.baseVal.width;
  const nearest = curves
    .filter((curve) => curve.points.length)
    .map((curve) => {
      const distance = (point) => Math.abs(point[0] - at);
      return [curve.name, curve.points.reduce((best, point) => (distance(point) < distance(best) ? point : best))];
    });
  if (!nearest.length) return;
  const mark = part(chart, "g", "reading");
  mark.replaceChildren();
  const [x] = nearest[0][1];
  const rule = part(mark, "line", "rule");
  Object.entries({ x1: x, x2: x, y1: 10, y2: 148 }).forEach(([name, value]) => rule.setAttribute(name, value));
  nearest.forEach(([, point], index) => {
    const dot = mark.appendChild(document.createElementNS(SVG, "circle"));
    dot.setAttribute("class", `line${index}`);
    Object.entries({ cx: point[0], cy: point[1], r: 3 }).forEach(([name, value]) => dot.setAttribute(name, value));
  });
  const text = part(mark, "text", "middle");
  text.setAttribute("x", (44 + 312) / 2);
  text.setAttribute("y", 164);
  const values = nearest.map(([name, point]) => (nearest.length > 1 ? `${name} ${point[3]}` : point[3]));
  text.textContent = `step ${nearest[0][1][2]}: ${values.join(", ")}`;
}

/** Return the child of this class, made if it is missing. */
function part(parent, tag, name) {
  const found = parent.querySelector(`.${name}`);
  if (found) return found;
  const made = parent.appendChild(document.createElementNS(SVG, tag));
  made.setAttribute("class", name);
  return made;
}

for (const chart of document.querySelectorAll(".chart[data-curves]")) {
  chart.addEventListener("pointermove", (event) => readOff(chart, event));
  chart.addEventListener("pointerleave", () => chart.querySelector(".reading")?.remove());
}
document.querySelector("[data-part='report-theme']").addEventListener("click", switchTheme);
