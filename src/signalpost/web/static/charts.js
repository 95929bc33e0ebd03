// Draws every figure that carries a chart's facts (web/charts.py says what they are). Canvas, so that no style attribute is needed.
(() => {
"use strict";
const style = () => getComputedStyle(document.documentElement);
const token = (name) => style().getPropertyValue(`--${name}`).trim();
const VERDICTS = { warned: "warned-fill", withheld: "withheld-fill" };
const colour = (name) => token(/^[a-h]$/.test(name) ? `series-${name}` : VERDICTS[name] ?? name) || token("series-a");
const phone = () => matchMedia("(max-width: 640px)").matches;
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
function lasting(ms) {
  const [size, unit] = ms < 1e3 ? [1, "ms"] : ms < 6e4 ? [1e3, "s"] : ms < 36e5 ? [6e4, "min"] : ms < 1728e5 ? [36e5, "h"] : [864e5, "d"];
  return `${Math.round((ms / size) * 10) / 10} ${unit}`;
}
function say(value, unit, brief) {
  if (value == null) return "–";
  if (unit === "ms") return lasting(value);
  if (unit === "percent") return `${Math.round(value * 1000) / 10} %`;
  const text = (brief ? short : number).format(value);
  return unit === "number" || unit === "score" ? text : `${text} ${unit}`;
}

const text = () => ({ color: token("soft"), fontFamily: style().getPropertyValue("--sans"), fontSize: 12 });
const tip = () => ({
  renderMode: "richText", confine: true, backgroundColor: token("paper"), borderColor: token("line-strong"),
  textStyle: { color: token("ink"), fontSize: 12 },
});
const axis = () => ({ axisLine: { lineStyle: { color: token("line") } }, axisTick: { show: false }, axisLabel: text(), splitLine: { lineStyle: { color: token("line") } } });

// Marks that fall on one moment of the axis are one mark: "1–12".
function marked(markers, nearest) {
  const there = new Map();
  for (const { at, label } of markers) there.set(nearest(at), [...(there.get(nearest(at)) ?? []), label]);
  return [...there].map(([xAxis, names]) => ({ xAxis, name: names.length > 1 ? `${names[0]}–${names.at(-1)}` : names[0] }));
}

function timed(facts) {
  const nearest = (at) => facts.at.reduce((best, each, place) => (Math.abs(each - at) < Math.abs(facts.at[best] - at) ? place : best), 0);
  const labels = facts.labels.map((label) => (phone() ? label.split(",")[0] : label));
  return {
    grid: { left: 8, right: 16, top: facts.markers?.length ? 34 : 14, bottom: facts.series.length > 1 ? 34 : 8, containLabel: true },
    legend: facts.series.length > 1 ? { bottom: 0, icon: "roundRect", itemWidth: 12, itemHeight: 8, textStyle: text(), type: "scroll" } : undefined,
    tooltip: { ...tip(), trigger: "axis", formatter: (all) => [facts.labels[all[0].dataIndex], ...all.map((each) => `${each.seriesName}: ${say(each.value, facts.unit)}`)].join("\n") },
    xAxis: { ...axis(), type: "category", data: labels, boundaryGap: facts.kind === "bars", splitLine: { show: false } },
    yAxis: { ...axis(), type: "value", axisLine: { show: false }, max: facts.most ?? undefined, axisLabel: { ...text(), formatter: (value) => say(value, facts.unit, true) } },
    series: facts.series.map((each, place) => ({
      name: each.name, type: facts.kind === "bars" ? "bar" : "line", data: each.values, stack: facts.stacked ? "all" : undefined,
      showSymbol: each.values.length < 80, showAllSymbol: true, symbolSize: (value, { dataIndex: at }) => (each.values[at - 1] == null && each.values[at + 1] == null ? 6 : 0), barMaxWidth: 34, itemStyle: { color: colour(each.colour) },
      areaStyle: facts.stacked && facts.kind !== "bars" ? { opacity: 0.35 } : undefined,
      lineStyle: { color: colour(each.colour), width: 2, type: each.dashed ? "dashed" : "solid" },
      markLine: place || !facts.markers?.length ? undefined : {
        symbol: "none", silent: false, lineStyle: { color: token("line-strong"), type: "dotted" },
        label: { ...text(), formatter: (mark) => mark.name },
        data: marked(facts.markers, nearest),
      },
    })),
  };
}

const lying = (facts) => ({
  grid: { left: 8, right: 24, top: 8, bottom: facts.series.length > 1 ? 34 : 8, containLabel: true },
  legend: facts.series.length > 1 ? { bottom: 0, icon: "roundRect", itemWidth: 12, itemHeight: 8, textStyle: text() } : undefined,
  tooltip: { ...tip(), trigger: "axis", axisPointer: { type: "shadow" }, formatter: (all) => [all[0].name, ...all.map((each) => `${each.seriesName}: ${say(each.value, facts.unit)}`)].join("\n") },
  xAxis: { ...axis(), type: "value", axisLabel: { ...text(), formatter: (value) => say(value, facts.unit, true) } },
  yAxis: { ...axis(), type: "category", inverse: true, data: facts.labels, splitLine: { show: false }, axisLabel: { ...text(), overflow: "truncate", width: phone() ? 110 : 200 } },
  series: facts.series.map((each) => ({ name: each.name, type: "bar", stack: facts.stacked ? "all" : undefined, data: each.values, barMaxWidth: 22, itemStyle: { color: colour(each.colour) } })),
});

// A label ends where the next column that has nodes begins; beside the last one there is the margin.
function rooms(facts, width, right) {
  const depths = [...new Set(facts.nodes.map((each) => each.depth ?? 0))].sort((a, b) => a - b);
  const step = (width - right - 4) / Math.max(1, depths.at(-1));
  return (depth) => Math.round(depth >= depths.at(-1) ? right - 6 : (depths.find((each) => each > depth) - depth) * step - 18);
}
const flow = (facts, width, room = rooms(facts, width, phone() ? 84 : 150)) => ({
  tooltip: { ...tip(), formatter: ({ dataType, data }) => (dataType === "edge" ? data.tip : `${data.label0}${data.title ? `\n${data.title}` : ""}`) },
  series: [{
    type: "sankey", left: 4, right: phone() ? 84 : 150, top: 10, bottom: 10, nodeGap: phone() ? 8 : 12, nodeWidth: phone() ? 8 : 12, draggable: false,
    layoutIterations: 64, emphasis: { focus: "adjacency" }, lineStyle: { color: "source", opacity: 0.28, curveness: 0.5 },
    label: { ...text(), color: token("ink"), formatter: ({ data }) => data.label0, overflow: "truncate" },
    data: facts.nodes.map((each) => ({ name: each.id, label0: each.label, title: each.title, depth: each.depth, label: { width: room(each.depth ?? 0) }, link: each.link, itemStyle: { color: colour(each.colour ?? "a"), borderWidth: 0 } })),
    links: facts.edges.map((each) => ({
      source: each.source, target: each.target, value: each.value ?? 1, link: each.link,
      tip: `${label(facts, each.source)} → ${label(facts, each.target)}\n${each.label || number.format(each.value ?? 1)}`,
    })),
  }],
});
const label = (facts, id) => facts.nodes.find((each) => each.id === id)?.label ?? id;

const graph = (facts) => ({
  tooltip: { ...tip(), formatter: ({ dataType, data }) => (dataType === "edge" ? data.why || "" : `${data.label0}${data.title ? `\n${data.title}` : ""}`) },
  series: [{
    type: "graph", layout: "force", roam: "move", draggable: true, force: { repulsion: 340, edgeLength: phone() ? 70 : 120, gravity: 0.12, layoutAnimation: !calm() },
    label: { show: true, position: "bottom", ...text(), color: token("ink"), formatter: ({ data }) => data.label0 },
    edgeLabel: { show: !phone(), ...text(), formatter: ({ data }) => data.why ?? "" }, lineStyle: { color: token("line-strong"), width: 1.5 },
    data: facts.nodes.map((each) => ({ name: each.id, label0: each.label, title: each.title, link: each.link, symbolSize: each.size || 22, itemStyle: { color: colour(each.colour ?? "a") } })),
    links: facts.edges.map((each) => ({ source: each.source, target: each.target, why: each.label, link: each.link, lineStyle: { type: each.dashed ? "dashed" : "solid" } })),
  }],
});

// The smallest step of a whole minute, hour or day that makes few enough marks.
const whole = (until) => [6e4, 3e5, 9e5, 18e5, 36e5, 108e5, 216e5, 432e5, 864e5, 1728e5, 6048e5, 2592e6].find((step) => until / step <= (phone() ? 4 : 10)) ?? until;

function lanes(facts) {
  const place = Object.fromEntries(facts.lanes.map((name, at) => [name, at]));
  return {
    grid: { left: 8, right: 20, top: 8, bottom: 8, containLabel: true },
    tooltip: { ...tip(), formatter: ({ data }) => `${data.span.label}${data.span.title ? `\n${data.span.title}` : ""}` },
    xAxis: { ...axis(), type: "value", min: 0, max: facts.until, interval: whole(facts.until), axisLabel: { ...text(), showMaxLabel: false, formatter: (ms) => (ms ? lasting(ms) : "start") } },
    yAxis: { ...axis(), type: "category", inverse: true, data: facts.lanes, axisLabel: { ...text(), color: token("ink"), overflow: "truncate", width: phone() ? 96 : 190 } },
    series: [{
      type: "custom", clip: true,
      renderItem: (_, api) => {
        const span = facts.spans[api.value(3)], [from, y] = api.coord([api.value(1), api.value(0)]), [to] = api.coord([api.value(2), api.value(0)]);
        const high = Math.min(24, api.size([0, 1])[1] * 0.6), point = span.start === span.end;
        const next = Math.min(...facts.spans.filter((each) => point && each.lane === span.lane && each.start > span.start).map((each) => each.start));
        const room = point ? Math.min(160, Number.isFinite(next) ? api.coord([next, api.value(0)])[0] - from - 22 : 160) : to - from - 10;
        const shape = point ? { type: "circle", shape: { cx: from, cy: y, r: 7 } } : { type: "rect", shape: { x: from, y: y - high / 2, width: Math.max(3, to - from), height: high, r: 4 } };
        return { type: "group", children: [
          { ...shape, style: { fill: colour(span.colour ?? "a"), opacity: span.dashed ? 0.45 : 0.9 } },
          { type: "text", style: { text: room < 16 ? "" : span.label, x: point ? from + 11 : from + 6, y, verticalAlign: "middle", fontSize: 12, fill: point ? token("ink") : token("paper"), overflow: "truncate", width: room } },
        ] };
      },
      encode: { x: [1, 2], y: 0 },
      data: facts.spans.map((span, at) => ({ span, link: span.link, value: [place[span.lane], span.start, span.end ?? facts.until, at] })),
    }],
  };
}

const KINDS = { lines: timed, bars: timed, lying, flow, graph, lanes };
function draw(figure, still) {
  const facts = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const canvas = figure.querySelector(".canvas"), chart = echarts.getInstanceByDom(canvas) ?? echarts.init(canvas);
  chart.setOption({ animation: !still && !calm(), animationDuration: 300, ...KINDS[facts.kind](facts, canvas.clientWidth) }, true);
  chart.off("click");
  chart.on("click", ({ data, dataIndex }) => {
    const to = data?.link || (facts.link && facts.at && facts.link.replace("{at}", facts.at[dataIndex]));
    if (to) location.assign(to);
  });
}
// Only as the page opens it moves: what is drawn again, for a new size or new figures, stands at once.
const all = (from = document, still = true) => from.querySelectorAll("figure[data-chart]").forEach((each) => draw(each, still));
const again = () => { document.querySelectorAll("figure[data-chart] .canvas").forEach((each) => echarts.getInstanceByDom(each)?.dispose()); all(); };
let waiting;
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(again, 150); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
document.addEventListener("themechange", again);
document.addEventListener("htmx:load", ({ target }) => target !== document.body && all(target));
// A part of the page that is replaced takes its charts with it.
document.addEventListener("htmx:sseBeforeMessage", ({ target }) => target.querySelectorAll(".canvas").forEach((each) => echarts.getInstanceByDom(each)?.dispose()));
document.addEventListener("htmx:sseMessage", ({ target }) => all(target));
all(document, false);
})();
