// The timeline below the view: scores, holds and planted feet of the whole dance, and the time.

const LANES = {
  // score -> [colour of the style sheet, what it says]
  contact: ["--score0", "Hands hold what is due, bodies stay out of each other"],
  foot: ["--score1", "Feet on the floor stay where they are, and step"],
  beat: ["--score2", "Steps land on the beats of the music"],
};
const BARS = [
  // name, colour, places of the bytes in a row of marks, what it says
  ["holds", "--touch", [2, 3], "A palm touches a partner"],
  ["left foot", "--judged", [0], "The left foot is planted"],
  ["right foot", "--judged", [1], "The right foot is planted"],
];
const CURVE_HEIGHT = 30; // pixels of a lane
const BAR_HEIGHT = 11;
const GAP = 3; // pixels between lanes
const FEWEST_PIXELS = 4; // between beats; nearer ones are not drawn
const SHOWN = 0.5; // marks from this strength on are bars

class Timeline {
  /** Draw into `root`, which holds lists of names and a canvas; call `seek(time)` where it is pressed. */
  constructor(root, seek) {
    this.root = root;
    this.find = (name) => root.querySelector(`[data-part="${name}"]`);
    this.canvas = this.find("lanes");
    this.plot = this.find("plot");
    this.lanes = [];
    this.frame = 0;
    const press = (event) => {
      if (event.type === "pointerdown") this.plot.setPointerCapture(event.pointerId);
      else if (!this.plot.hasPointerCapture(event.pointerId)) return;
      const box = this.plot.getBoundingClientRect();
      seek(Math.max(0, Math.min((event.clientX - box.left) / box.width, 1)) * this.seconds);
    };
    this.plot.addEventListener("pointerdown", press);
    this.plot.addEventListener("pointermove", press);
    new ResizeObserver(() => this.draw()).observe(this.plot);
  }

  /** Show the scores and marks of the dancer who is judged. */
  show(troupe, beats) {
    this.seconds = Math.max((troupe.frames - 1) / troupe.fps, 1 / troupe.fps);
    this.fps = troupe.fps;
    this.frames = troupe.frames;
    this.beats = beats;
    const { judged } = troupe;
    this.judged = troupe.dancers.find((dancer) => dancer.track === judged.track)?.look ?? 0;
    this.marks = judged.marked.bytes;
    const scores = Object.keys(LANES).filter((name) => judged.scores[name]);
    this.lanes = scores.map((name) => {
      const [colour, told] = LANES[name];
      return { name, colour, told, values: bytesOf(judged.scores[name]), height: CURVE_HEIGHT };
    });
    const bars = BARS.filter(([name]) => name !== "holds" || troupe.dancers.length > 1);
    this.lanes.push(...bars.map(([name, colour, bytes, told]) => ({ name, colour, told, bytes, height: BAR_HEIGHT })));
    let top = 0;
    for (const lane of this.lanes) {
      lane.top = top;
      top += lane.height + GAP;
    }
    this.height = top - GAP;
    this.plot.style.height = `${this.height}px`;
    this.find("names").replaceChildren(...this.lanes.map((lane) => this.nameOf(lane)));
    this.draw();
  }

  nameOf(lane) {
    const name = document.createElement("div");
    name.style.height = `${lane.height}px`;
    name.title = lane.told;
    name.append(Object.assign(document.createElement("span"), { textContent: lane.name }));
    if (lane.values) {
      lane.value = name.appendChild(document.createElement("b"));
      lane.value.style.color = `var(${lane.colour})`;
    }
    return name;
  }

  /** Mark the time of `frame` and say the scores there. */
  at(frame) {
    this.frame = frame;
    this.find("now").style.left = `${(100 * frame) / Math.max(this.frames - 1, 1)}%`;
    const nearest = Math.max(0, Math.min(Math.round(frame), this.frames - 1));
    for (const lane of this.lanes) {
      if (lane.value) lane.value.textContent = (lane.values[nearest] / FULL).toFixed(2);
    }
  }

  draw() {
    const width = this.plot.clientWidth;
    if (!width || !this.height) return;
    const fine = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * fine);
    this.canvas.height = Math.round(this.height * fine);
    const pen = this.canvas.getContext("2d");
    pen.scale(fine, fine);
    const style = getComputedStyle(this.root);
    const ink = (name) => style.getPropertyValue(name === "--judged" ? `--dancer${this.judged % COLOURS}` : name);
    this.drawBeats(pen, width, ink("--track"));
    for (const lane of this.lanes) {
      if (lane.values) this.drawCurve(pen, lane, width, ink(lane.colour), ink("--track"));
      else this.drawBars(pen, lane, width, ink(lane.colour), ink("--edge"));
    }
    this.at(this.frame);
  }

  drawBeats(pen, width, colour) {
    if (width / Math.max(this.beats.length, 1) < FEWEST_PIXELS) return;
    pen.fillStyle = colour;
    for (const beat of this.beats) pen.fillRect((width * beat) / this.seconds - 0.5, 0, 1, this.height);
  }

  /** Draw the mean of the frames below each pixel, filled down to zero. */
  drawCurve(pen, lane, width, colour, line) {
    const { top, height, values } = lane;
    pen.fillStyle = line;
    pen.fillRect(0, top + height - 1, width, 1);
    const columns = Math.min(Math.ceil(width), this.frames);
    pen.beginPath();
    for (let column = 0; column < columns; column++) {
      const from = Math.floor((column * this.frames) / columns);
      const to = Math.max(from + 1, Math.floor(((column + 1) * this.frames) / columns));
      let sum = 0;
      for (let frame = from; frame < to; frame++) sum += values[frame];
      const x = (width * ((from + to - 1) / 2)) / Math.max(this.frames - 1, 1);
      const y = top + 1 + (height - 2) * (1 - sum / (to - from) / FULL);
      if (column) pen.lineTo(x, y);
      else pen.moveTo(x, y);
    }
    pen.strokeStyle = pen.fillStyle = colour;
    pen.lineWidth = 1.5;
    pen.lineJoin = "round";
    pen.stroke();
    pen.lineTo(width, top + height);
    pen.lineTo(0, top + height);
    pen.globalAlpha = 0.16;
    pen.fill();
    pen.globalAlpha = 1;
  }

  drawBars(pen, lane, width, colour, ground) {
    const { top, height, bytes } = lane;
    pen.fillStyle = ground;
    pen.fillRect(0, top + 2, width, height - 4);
    pen.fillStyle = colour;
    const on = (frame) => frame < this.frames && bytes.some((byte) => this.marks[4 * frame + byte] >= SHOWN * FULL);
    const across = (frame) => (width * Math.max(0, Math.min(frame, this.frames - 1))) / Math.max(this.frames - 1, 1);
    for (let frame = 0, start = null; frame <= this.frames; frame++) {
      if (on(frame)) start ??= frame;
      else if (start !== null) {
        const x = across(start - 0.5);
        pen.fillRect(x, top + 2, Math.max(across(frame - 0.5) - x, 1), height - 4);
        start = null;
      }
    }
  }
}
