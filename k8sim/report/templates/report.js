"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const NS = "http://www.w3.org/2000/svg";
  const LANE = 24, BAR = 16, AXIS = 22, TOP = 15;
  const DARK = new Set(["lost", "attached"]);
  const lanes = document.getElementById("lanes"), tip = document.getElementById("tip");
  let from = 0, to = data.end, only = "";

  const make = (tag, attributes, parent) => {
    const element = document.createElementNS(NS, tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (parent) parent.append(element);
    return element;
  };
  const time = (s) => {
    const rest = (x) => String(Math.round(x * 1000) / 1000);
    if (s < 1) return `${Math.round(s * 1000)} ms`;
    if (s < 60) return `${rest(s)} s`;
    const h = Math.floor(s / 3600), m = Math.floor((s % 3600) / 60), r = s % 60;
    return [h && `${h} h`, m && `${m} min`, r >= 0.001 && `${rest(r)} s`].filter(Boolean).join(" ");
  };
  const nice = (x) => {
    const steps = [1e-3, 2e-3, 5e-3, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
      3600, 7200, 14400, 21600, 43200, 86400];
    return steps.find((s) => s >= x) || 86400 * Math.ceil(x / 86400);
  };
  const matches = (text) => !only || only.split(/[\s,]+/).filter(Boolean).some((w) => text.toLowerCase().includes(w));
  const wanted = (lane) => matches(lane.label)
    || (lane.spans || []).some((s) => s.o && matches(s.o));

  // ---- one group of lanes ----
  function draw(group, box) {
    const shown = group.lanes.filter(wanted);
    box.hidden = shown.length === 0;
    box.querySelector("svg")?.remove();
    if (!shown.length) return;
    const width = Math.max(box.clientWidth, 260), margin = Math.min(170, width * 0.28), plot = width - margin - 12;
    const rows = group.type === "spans" ? shown.map(stack) : shown.map(() => 2);
    const height = TOP + rows.reduce((a, b) => a + b, 0) * LANE + AXIS;
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": group.title }, box);
    const x = (t) => margin + ((t - from) / (to - from)) * plot;
    const clip = `clip${Math.random().toString(36).slice(2)}`;
    make("rect", { x: margin, y: 0, width: plot, height }, make("clipPath", { id: clip }, make("defs", {}, svg)));
    ticks(svg, x, height, margin, plot);
    let y = TOP;
    shown.forEach((lane, index) => {
      const tall = rows[index] * LANE;
      if (index % 2 === 0) make("rect", { x: 0, y, width, height: tall, fill: "#f5f5f3" }, svg);
      label(svg, lane.label, margin, y + tall / 2);
      const inside = make("g", { "clip-path": `url(#${clip})` }, svg);
      if (group.type === "spans") spans(inside, lane, x, y, group.title); else steps(inside, svg, lane, x, y, tall);
      y += tall;
    });
    const marks = make("g", { "clip-path": `url(#${clip})` }, svg);
    data.events.forEach((event, index) => {
      if (event.t < from || event.t > to) return;
      make("line", { x1: x(event.t), x2: x(event.t), y1: TOP - 2, y2: y, stroke: "#1b1b1b", "stroke-dasharray": "4 3" }, marks);
      const text = make("text", { x: x(event.t), y: 11, class: "tick", "text-anchor": "middle" }, svg);
      text.textContent = data.events.length <= 40 ? index + 1 : "";
    });
    selecting(svg, margin, plot, height);
  }

  function stack(lane) {
    const levels = [];
    for (const span of [...lane.spans].sort((a, b) => a.s - b.s)) {
      let level = levels.findIndex((l) => l.until <= span.s && l.who === span.o);
      if (level < 0) level = levels.findIndex((l) => l.until <= span.s);
      if (level < 0) level = levels.push({}) - 1;
      levels[level] = { until: span.e, who: span.o };
      span.level = level;
    }
    return Math.max(levels.length, 1);
  }

  function ticks(svg, x, height, margin, plot) {
    const step = nice((to - from) / Math.max(2, plot / 95));
    for (let t = Math.ceil(from / step) * step; t <= to + 1e-9; t += step) {
      make("line", { x1: x(t), x2: x(t), y1: TOP, y2: height - AXIS, stroke: "#dcdcdc" }, svg);
      const anchor = x(t) > margin + plot - 20 ? "end" : "middle";
      const text = make("text", { x: x(t), y: height - 6, class: "tick", "text-anchor": anchor }, svg);
      text.textContent = t === 0 ? "0" : time(t);
    }
  }

  function label(svg, words, margin, y) {
    const room = Math.floor((margin - 10) / 6.6);
    const text = make("text", { x: margin - 8, y: y + 4, "text-anchor": "end" }, svg);
    text.textContent = words.length > room ? `…${words.slice(1 - room)}` : words;
    make("title", {}, text).textContent = words;
  }

  function spans(parent, lane, x, y, title) {
    for (const span of lane.spans) {
      if (span.e < from || span.s > to) continue;
      const left = x(span.s), width = Math.max(x(span.e) - left, 1);
      const words = [`${lane.label}${span.n > 1 ? ` (no. ${span.n})` : ""}: ${span.k}`, data.meaning[span.k], span.o,
        `${time(span.s)} to ${time(span.e)}, ${time(span.e - span.s)}`].filter(Boolean);
      const bar = make("rect", { x: left, y: y + span.level * LANE + (LANE - BAR) / 2, width, height: BAR, rx: 1,
        fill: data.colours[span.k] || "#8c8c8c", class: "span", tabindex: width > 8 ? 0 : -1,
        "aria-label": words.join(", ") }, parent);
      told(bar, words);
      inscribe(parent, span, Math.max(left, x(from)), Math.min(left + width, x(to)), y);
      if (width > 12 && span.k === "unready") hatch(parent, left, y + span.level * LANE + (LANE - BAR) / 2, width);
    }
  }

  function inscribe(parent, span, left, right, y) {
    const words = span.o || "", room = Math.floor((right - left - 10) / 6.2);
    if (words.length > room || !words || span.k === "unready") return;
    const text = make("text", { x: left + 5, y: y + span.level * LANE + LANE / 2 + 4, class: "inside",
      style: `fill:${DARK.has(span.k) ? "white" : "#1b1b1b"}` }, parent);
    text.textContent = words;
  }

  function hatch(parent, left, top, width) {
    let path = "";
    for (let at = left; at < left + width - 6; at += 9) path += `M${at} ${top + BAR}l6 ${-BAR}`;
    make("path", { d: path, stroke: "white", "stroke-width": 1, "pointer-events": "none" }, parent);
  }

  function steps(parent, svg, lane, x, y, tall) {
    const most = Math.max(...lane.points.map((p) => p[1]), 1);
    const at = (v) => y + tall - 6 - (v / most) * (tall - 24);
    let path = `M${x(lane.points[0][0])} ${at(lane.points[0][1])}`;
    lane.points.slice(1).forEach(([t, v]) => { path += `H${x(t)}V${at(v)}`; });
    make("path", { d: path, fill: "none", stroke: "#0072b2", "stroke-width": 2 }, parent);
    lane.points.slice(0, -1).forEach(([t, v], i) => {
      const next = lane.points[i + 1][0], left = x(t);
      if (next < from || t > to) return;
      const area = make("rect", { x: left, y, width: Math.max(x(next) - left, 1), height: tall, fill: "transparent" }, parent);
      told(area, [`${lane.kind} ${lane.label}: ${v}`, `${time(t)} to ${time(next)}`]);
      if (x(next) - left > 16) {
        const text = make("text", { x: Math.max(left, x(from)) + 4, y: at(v) - 3, class: "tick" }, parent);
        text.textContent = v;
      }
    });
  }

  // ---- pointing ----
  function told(element, words) {
    const show = (event) => {
      tip.replaceChildren(...words.flatMap((w, i) => (i ? [document.createElement("br"), w] : [w])));
      tip.hidden = false;
      const box = element.getBoundingClientRect();
      const px = event.clientX ?? box.left + box.width / 2, py = event.clientY ?? box.bottom;
      tip.style.left = `${Math.max(4, Math.min(px + 12, innerWidth - tip.offsetWidth - 8))}px`;
      tip.style.top = `${py + 18 + tip.offsetHeight > innerHeight ? py - tip.offsetHeight - 12 : py + 18}px`;
    };
    element.addEventListener("pointermove", show);
    element.addEventListener("pointerdown", show);
    element.addEventListener("focus", show);
    for (const end of ["pointerleave", "blur"]) element.addEventListener(end, () => { tip.hidden = true; });
  }

  // ---- zooming ----
  function view(a, b) {
    const span = Math.min(Math.max(b - a, data.end / 1e5), data.end);
    from = Math.min(Math.max(a, 0), data.end - span);
    to = from + span;
    redraw();
  }
  const zoom = (factor, centre = (from + to) / 2) => view(centre - (centre - from) * factor, centre + (to - centre) * factor);

  function selecting(svg, margin, plot, height) {
    const moment = (event) => {
      const box = svg.getBoundingClientRect();
      return from + ((event.clientX - box.left - margin) / plot) * (to - from);
    };
    svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.3 : 1 / 1.3, moment(event));
    }, { passive: false });
    svg.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "touch" || event.button !== 0) return;
      const start = Math.max(moment(event), from);
      const band = make("rect", { y: 0, height, fill: "#0072b2", opacity: 0.2, "pointer-events": "none" }, svg);
      const move = (e) => {
        const now = Math.min(Math.max(moment(e), from), to), scale = plot / (to - from);
        band.setAttribute("x", margin + (Math.min(start, now) - from) * scale);
        band.setAttribute("width", Math.abs(now - start) * scale);
      };
      const up = (e) => {
        removeEventListener("pointermove", move);
        band.remove();
        const end = Math.min(Math.max(moment(e), from), to);
        if (Math.abs(end - start) / (to - from) > 0.01) view(Math.min(start, end), Math.max(start, end));
      };
      addEventListener("pointermove", move);
      addEventListener("pointerup", up, { once: true });
    });
    svg.addEventListener("dblclick", () => view(0, data.end));
  }

  // ---- the page ----
  const boxes = data.groups.map((group) => {
    const box = document.createElement("div");
    box.className = "group";
    const title = document.createElement("h3");
    title.textContent = group.title;
    box.append(title);
    lanes.append(box);
    return box;
  });
  function redraw() {
    tip.hidden = true;
    data.groups.forEach((group, index) => draw(group, boxes[index]));
    document.getElementById("range").textContent = `${time(from) === "0 ms" ? "0" : time(from)} to ${time(to)}`;
  }
  const used = new Set(data.groups.flatMap((g) => g.lanes.flatMap((l) => (l.spans || []).map((s) => s.k))));
  for (const [state, colour] of Object.entries(data.colours)) {
    if (!used.has(state)) continue;
    const item = document.createElement("span"), mark = document.createElement("i");
    mark.style.background = colour;
    const meaning = data.meaning[state];
    item.append(mark, meaning.toLowerCase() === state ? state : `${state}: ${meaning}`);
    document.getElementById("legend").append(item);
  }
  data.events.slice(0, 40).forEach((event) => {
    const item = document.createElement("li");
    item.textContent = `${time(event.t)}: ${event.text}`;
    document.getElementById("events").append(item);
  });
  const click = (id, act) => document.getElementById(id).addEventListener("click", act);
  click("in", () => zoom(0.5));
  click("out", () => zoom(2));
  click("left", () => view(from - (to - from) / 3, to - (to - from) / 3));
  click("right", () => view(from + (to - from) / 3, to + (to - from) / 3));
  click("all", () => view(0, data.end));
  document.getElementById("filter").addEventListener("input", (event) => {
    only = event.target.value.trim().toLowerCase();
    redraw();
  });
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      const rows = [...button.parentElement.querySelectorAll("tr")];
      const text = rows.map((r) => [...r.children].map((c) => c.textContent).join("\t")).join("\n");
      try {
        await navigator.clipboard.writeText(text);
      } catch {  // not allowed on file:// in some browsers
        const area = document.createElement("textarea");
        area.value = text;
        document.body.append(area);
        area.select();
        document.execCommand("copy");
        area.remove();
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
  let width = 0;
  new ResizeObserver(() => {
    if (lanes.clientWidth !== width) {
      width = lanes.clientWidth;
      redraw();
    }
  }).observe(lanes);
  redraw();
  document.documentElement.dataset.ready = "yes";
})();
