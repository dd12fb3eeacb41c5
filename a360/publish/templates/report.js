"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const shown = { axis: 0, log: data.axes[0].starts_log, logY: data.starts_log_y };
  const HEIGHT = 200;
  const ratio = () => window.devicePixelRatio || 1;

  const short = (value) => {
    for (const [size, unit] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]]) {
      if (Math.abs(value) >= size) return `${+(value / size).toPrecision(3)}${unit}`;
    }
    return `${+value.toPrecision(4)}`;
  };
  const plain = (value) => Math.abs(value) < 10 ? value.toFixed(3) : Math.abs(value) < 1000 ? value.toFixed(2) : short(value);
  const place = (checkpoint) => {
    const phase = new Set(data.phases).size > 1 ? `phase ${data.phases[checkpoint]} · ` : "";
    const tokens = data.tokens[checkpoint] === null ? "" : ` · ${short(data.tokens[checkpoint])} tokens`;
    return `${data.checkpoints[checkpoint]} · ${phase}step ${data.steps[checkpoint].toLocaleString("en")}${tokens}`;
  };

  // --- curves -----------------------------------------------------------------------------------
  const scaleX = () => data.axes[shown.axis][shown.log ? "log" : "linear"];
  const isLogY = (curve) => shown.logY && "log" in curve.y;
  const scaleY = (curve) => curve.y[isLogY(curve) ? "log" : "linear"];
  const toY = (curve, value) => value === null ? null : !isLogY(curve) ? value : value > 0 ? Math.log10(value) : null;

  const drawBand = (u, curve) => {
    const { ctx, bbox } = u;
    const at = (i, sign) => {
      const y = toY(curve, Math.max(curve.values[i] + sign * curve.stderr[i], isLogY(curve) ? 1e-12 : -Infinity));
      return [u.valToPos(u.data[0][i], "x", true), u.valToPos(y, "y", true)];
    };
    const known = curve.values.map((v, i) => i).filter((i) => curve.values[i] !== null && curve.stderr[i] !== null);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.beginPath();
    known.forEach((i) => ctx.lineTo(...at(i, 1)));
    known.reverse().forEach((i) => ctx.lineTo(...at(i, -1)));
    ctx.fillStyle = colour("--band");
    ctx.fill();
    ctx.strokeStyle = colour("--mark");
    ctx.lineWidth = 1.25 * ratio();
    for (const [value, dash] of [[curve.chance, [5, 5]], [curve.target, []]]) {
      const y = value === null ? null : toY(curve, value);
      if (y === null) continue;
      ctx.setLineDash(dash.map((length) => length * ratio()));
      ctx.beginPath();
      ctx.moveTo(bbox.left, u.valToPos(y, "y", true));
      ctx.lineTo(bbox.left + bbox.width, u.valToPos(y, "y", true));
      ctx.stroke();
    }
    ctx.restore();
  };

  const showValue = (panel, curve, index) => {
    const known = index === null || index === undefined ? curve.values.findLastIndex((v) => v !== null) : index;
    const value = curve.values[known];
    const readout = panel.querySelector(".readout");
    readout.replaceChildren();
    if (value === null || value === undefined) {
      readout.textContent = "no value";
      return;
    }
    const bold = document.createElement("b");
    bold.textContent = plain(value);
    readout.append(bold, curve.stderr[known] === null ? "" : ` ± ${plain(curve.stderr[known])}`);
  };

  const drawPanel = (panel) => {
    const curve = data.curves[panel.dataset.curve];
    const plot = panel.querySelector(".plot");
    const x = scaleX();
    const y = scaleY(curve);
    const axis = (scale, size) => ({
      stroke: colour("--muted"), font: "11px system-ui, sans-serif", size, gap: 4,
      splits: () => scale.ticks.map((tick) => tick[0]),
      values: () => scale.ticks.map((tick) => tick[1]),
      ticks: { show: false }, grid: { stroke: colour("--grid"), width: 1 },
    });
    const line = (stroke, width, size) => ({
      stroke, width, spanGaps: true, points: { show: size > 0, size, fill: stroke, width: 0 },
    });
    const dense = x.positions.length > 80;
    const chart = new uPlot({
      width: Math.max(plot.clientWidth, 80), height: HEIGHT, padding: [8, 10, 0, 0], legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: "a360" }, points: { size: 9, width: 2 } },
      scales: { x: { time: false, range: [x.low, x.high] }, y: { range: [y.low, y.high] } },
      axes: [{ ...axis(x, 26), grid: { show: false } }, axis(y, 46)],
      series: [
        {},
        ...curve.lines.map((_, i) => ({ ...line(colour(`--c${i}`), dense ? 1 : 1.5, 0), alpha: dense ? 0.75 : 1 })),
        line(colour("--accent"), dense ? 1 : 2, dense ? 2.5 : 5),
      ],
      hooks: {
        drawAxes: [(u) => drawBand(u, curve)],
        setCursor: [(u) => {
          showValue(panel, curve, u.cursor.idx);
          byId("where").textContent = u.cursor.idx === null ? "" : place(data.evaluated[u.cursor.idx]);
        }],
      },
    }, [x.positions, ...curve.lines.map((l) => l.values.map((v) => toY(curve, v))), curve.values.map((v) => toY(curve, v))], plot);
    plot.classList.add("live");
    return { chart, plot };
  };

  let charts = [];
  const panels = [...document.querySelectorAll(".panel")].filter((p) => data.curves[p.dataset.curve].values.some((v) => v !== null));
  const drawAll = () => {
    document.querySelectorAll(".x-name").forEach((name) => { name.textContent = data.axes[shown.axis].title; });
    charts.forEach(({ chart }) => chart.destroy());
    charts = panels.map(drawPanel);
  };
  const resized = new ResizeObserver(() => charts.forEach(({ chart, plot }) => {
    if (plot.clientWidth > 0 && plot.clientWidth !== chart.width) chart.setSize({ width: plot.clientWidth, height: HEIGHT });
  }));

  const choose = (holder, name, options, current, onChange) => options.forEach(([text, value]) => {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name, checked: value === current });
    input.addEventListener("change", () => { onChange(value); drawAll(); });
    label.append(input, text);
    holder.append(label);
  });
  const chooseScale = () => {
    byId("scale-choice").replaceChildren();
    choose(byId("scale-choice"), "scale", [["log", true], ["linear", false]], shown.log, (value) => { shown.log = value; });
  };
  if (panels.length) {
    choose(byId("axis-choice"), "axis", data.axes.map((axis, i) => [axis.name, i]), 0, (value) => { shown.axis = value; });
    chooseScale();
    if (panels.some((panel) => "log" in data.curves[panel.dataset.curve].y)) {
      choose(byId("y-choice"), "y", [["log", true], ["linear", false]], shown.logY, (value) => { shown.logY = value; });
      byId("y-field").hidden = false;
    }
    byId("controls").hidden = false;
    drawAll();
    panels.forEach((panel) => resized.observe(panel.querySelector(".plot")));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  }

  // --- coverage: one stop for the tab key, arrows inside ------------------------------------------
  const body = byId("matrix").tBodies[0];
  const cellAt = (row, column) => body.rows[row]?.querySelectorAll("td")[column];
  const positionOf = (cell) => [cell.parentNode.sectionRowIndex, cell.cellIndex - 2];
  const benchmarks = data.curves.map((curve) => curve.id);
  const tell = (cell) => {
    const [row, column] = positionOf(cell);
    const id = benchmarks[row];
    const state = data.coverage.states[data.coverage.rows[id][column]] || "not expected";
    const why = data.coverage.why[id][column];
    byId("cell-text").textContent =
      `${data.curves[row].title} × ${place(column)}: ${state}${why === undefined ? "" : ` — ${data.coverage.reasons[why]}`}`;
  };
  let current = cellAt(0, 0);
  if (current) current.tabIndex = 0;
  body.addEventListener("mouseover", (event) => { if (event.target.tagName === "TD") tell(event.target); });
  body.addEventListener("focusin", (event) => { if (event.target.tagName === "TD") tell(event.target); });
  body.addEventListener("click", (event) => { if (event.target.tagName === "TD") moveTo(event.target); });
  const moveTo = (cell) => {
    current.removeAttribute("tabindex");
    current = cell;
    current.tabIndex = 0;
    current.focus();
  };
  body.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step || event.target.tagName !== "TD") return;
    const [row, column] = positionOf(event.target);
    const next = cellAt(row + step[0], column + step[1]);
    event.preventDefault();
    if (next) moveTo(next);
  });

  // --- the curves as CSV --------------------------------------------------------------------------
  const csv = () => {
    const quoted = (value) => value === null || value === undefined ? "" : /[",\n\r]/.test(`${value}`) ? `"${`${value}`.replaceAll('"', '""')}"` : `${value}`;
    const lines = [["checkpoint", "phase", "step", "tokens", "benchmark", "metric", "value", "stderr", "n"]];
    for (const curve of data.curves) {
      curve.values.forEach((value, i) => {
        const at = data.evaluated[i];
        if (value !== null) {
          lines.push([data.checkpoints[at], data.phases[at], data.steps[at], data.tokens[at], curve.id, curve.label, value,
            curve.stderr[i], Array.isArray(curve.n) ? curve.n[i] : curve.n]);
        }
      });
    }
    return lines.map((line) => line.map(quoted).join(",")).join("\n") + "\n";
  };
  byId("download").hidden = false;
  byId("download").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = `${data.model.replace(/[^\w.-]+/g, "-")}-curves.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
  document.documentElement.dataset.panels = String(charts.length);
})();
