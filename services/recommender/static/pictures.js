// A picture of a product that has none: a calm landscape in one of a few colours, and a sign of what
// it is, chosen by its words. Drawn here, since a page may reach no other host.

const SVG = "http://www.w3.org/2000/svg";

// Words → a sign, drawn with a pen in a square of 24. The first that fits is taken.
const SIGNS = [
  [/book|diary|journal|primer|novel|guide|essays|notebook|paper|日记|书|笔记/i, "M4 5c3-1.500 6-1.500 8 .5 2-2 5-2 8-.5v14c-3-1.500-6-1.500-8 .5-2-2-5-2-8-.5zM12 5.500v14"],
  [/pen\b|pencil|ink|nib|stationery|笔/i, "M4 20l1.500-5L16 4.500a2 2 0 0 1 3.500 3.500L9 18.500zM14 6.500l3.500 3.500M4 20l3-3"],
  [/jacket|layer|merino|glove|wool|shirt|fleece|down jacket|sleeves|tights|overshoe|手套|羊毛|外套/i, "M9 4L4 7l-1 7h3v6h12v-6h3l-1-7-5-3a3 3 0 0 1-6 0z"],
  [/mug|cup|thermos|flask|coffee|tea\b|brew|kettle|grinder|espresso|咖啡|茶|杯/i, "M5 9h11v6a4 4 0 0 1-4 4H9a4 4 0 0 1-4-4zM16 10.500h1.500a2.250 2.250 0 0 1 0 4.500H16M8 3.500c-1 1 1 2 0 3M12 3.500c-1 1 1 2 0 3"],
  [/tent|tarp|bivy|hammock|camp|帐篷|露营/i, "M2.500 19L12 5l9.500 14zM12 5l-1-2M12 5l1-2M12 19v-6l-3 6M12 13l3 6"],
  [/bike|bicycle|cycl|saddle|pannier|helmet|骑行|自行车/i, "M6 20a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM18 20a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM6 16l4-8h6l2 8M10 8l4 8H6M8.500 8H11M16 8l-.5-3H18"],
  [/camera|lens|film|photo|tripod|darkroom|相机|摄影|胶片/i, "M3 8h4l1.500-2.500h7L17 8h4v11H3zM12 17a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7z"],
  [/binocular|telescope|scope|望远镜/i, "M7 6h3l.5 3h3L14 6h3l3.500 9a3.500 3.500 0 1 1-7 1.500v-4h-3v4A3.500 3.500 0 1 1 3.500 15z"],
  [/record|vinyl|turntable|cartridge|唱片/i, "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM12 12h.01M17.500 9A6.500 6.500 0 0 0 15 6.500"],
  [/headphone|earbud|audio|microphone|耳机/i, "M4 14v-2a8 8 0 0 1 16 0v2M4 14h3v6H5.500A1.500 1.500 0 0 1 4 18.500zM20 14h-3v6h1.500a1.500 1.500 0 0 0 1.500-1.500z"],
  [/speaker|radio|hi-fi|amplifier|音箱/i, "M6 3h12v18H6zM12 18a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM12 8.500a1.250 1.250 0 1 0 0-2.500 1.250 1.250 0 0 0 0 2.500z"],
  [/bird|feeder|nest|finch|观鸟|鸟/i, "M4 14c0-5 4-8 8-8 1-2 4-2 5 0l3 1.500-3 1.500c0 5-3 8-7 8H4l3-3M10 17v3M13 16.500V20M15.500 7.500h.01"],
  [/dog|cat\b|cats|pet|leash|harness|猫|狗|宠物/i, "M12 19c-3 0-5-1-5-3s2-5 5-5 5 3 5 5-2 3-5 3zM5.500 12a1.500 2 0 1 0 0-4 1.500 2 0 0 0 0 4zM18.500 12a1.500 2 0 1 0 0-4 1.500 2 0 0 0 0 4zM9.500 8a1.500 2 0 1 0 0-4 1.500 2 0 0 0 0 4zM14.500 8a1.500 2 0 1 0 0-4 1.500 2 0 0 0 0 4z"],
  [/game|dice|puzzle|chess|cards|桌游/i, "M4 4h16v16H4zM8.500 8.500h.01M15.500 8.500h.01M12 12h.01M8.500 15.500h.01M15.500 15.500h.01"],
  [/kite|toy|kids|children|family|儿童|玩具/i, "M12 3l6 7-6 8-6-8zM12 3v15M6 10h12M12 18c-2 1 2 2 0 3.500"],
  [/sourdough|bread|baking|loaf|banneton|flour|oven|面包|烘焙/i, "M4 11a4 4 0 0 1 4-5h8a4 4 0 0 1 4 5l-1.500 1V19h-13v-7zM9 10l1 3M12.500 10l1 3M16 10l1 3"],
  [/knife|pan\b|pot\b|kitchen|cook|soup|spoon|厨/i, "M3 11h13v3a5 5 0 0 1-5 5H8a5 5 0 0 1-5-5zM16 12h5M7 8c-1-1 1-2 0-3M11 8c-1-1 1-2 0-3"],
  [/seed|plant|garden|secateur|soil|balcony|种|园/i, "M12 21v-9M12 12c0-4-3-6-7-6 0 4 3 6 7 6zM12 14c0-3 2.500-5 7-5 0 4-3 5-7 5zM6 21h12"],
  [/lamp|\blights?\b|lantern|torch|灯/i, "M9 18h6M10 21h4M12 3a6 6 0 0 0-3.500 11c.5.500.5 1 .5 1.500h6c0-.5 0-1 .5-1.500A6 6 0 0 0 12 3z"],
  [/running|trail run|shoe|boot|sock|spikes|跑/i, "M3 17v-6l3 1.500L9 7l3 4 6 2.500c2 .8 3 1.500 3 3.500zM3 17v2h18v-2M11 10l2-1M13 11l2-1"],
  [/pack|bag|suitcase|travel|luggage|organiser|旅行|背包/i, "M6 9a6 6 0 0 1 12 0v11H6zM9 9a3 3 0 0 1 6 0M9 14h6v6M9 14v6M10 4V3h4v1"],
  [/desk|monitor|chair|keyboard|office|办公/i, "M3 5h18v11H3zM9 20h6M12 16v4"],
  [/hik|mountain|trek|compass|map|snow|poles|徒步/i, "M2.500 19L9 7l4 7 2-3 6.500 8zM7 11l2 1.500L11 11M17 6a1.500 1.500 0 1 0 0-.01"],
];
const ANY = "M12 3l8 4.500v9L12 21l-8-4.500v-9zM4 7.500l8 4.500 8-4.500M12 12v9";
const TINTS = 8;

/** A number made of a text, the same each time. */
export function hash(text) {
  let h = 2166136261;
  for (const letter of text) h = Math.imul(h ^ letter.codePointAt(0), 16777619);
  return h >>> 0;
}

function svg(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function sign({ title, tags, category }) {
  for (const words of [title, (tags ?? []).join(" "), category]) {
    const found = SIGNS.find(([pattern]) => pattern.test(words ?? ""));
    if (found) return found[1];
  }
  return ANY;
}

/** An image of the item: its own where it lies on this host, else drawn. Says nothing to a screen
 * reader, since the title stands beside it. */
export function picture(item) {
  const own = ownImage(item.image);
  if (own) {
    const image = document.createElement("img");
    Object.assign(image, { src: own, alt: "", loading: "lazy", className: "picture" });
    return image;
  }
  const seed = hash(item.item_id + item.title), tint = hash(item.category || item.title) % TINTS;
  const hill = 62 + (seed % 16), turn = 20 + ((seed >> 4) % 80), sun = 14 + ((seed >> 11) % 90);
  return svg("svg", { class: `picture tint-${tint}`, viewBox: "0 0 120 90", "aria-hidden": "true", focusable: "false" },
    svg("rect", { class: "sky", width: 120, height: 90 }),
    svg("circle", { class: "sun", cx: sun, cy: 20 + ((seed >> 8) % 12), r: 11 }),
    svg("path", { class: "hill far", d: `M0 ${hill - 8}Q${turn} ${hill - 34} 120 ${hill - 2}V90H0z` }),
    svg("path", { class: "hill near", d: `M0 ${hill + 8}Q${120 - turn} ${hill - 12} 120 ${hill + 12}V90H0z` }),
    svg("g", { class: "sign", transform: "translate(34.800 19.800) scale(2.100)" }, svg("path", { d: sign(item) })));
}

function ownImage(address) {
  if (!address) return "";
  try {
    const url = new URL(address, location.href);
    return url.origin === location.origin ? url.href : "";
  } catch { return ""; }
}
