// The dance as the page receives it: positions in millimetres, and what time it is in the music.

const JOINTS = 55;
const JOINT_NUMBERS = 3 * JOINTS;
const PELVIS = 0;
const OUTERMOST = [10, 11, 15, 18, 19, 20, 21, 26, 41]; // toes, head, elbows, wrists, finger knuckles
const OUTSIDE = 0.15; // m from the outermost joint to the outside of the body
const STILL_SECONDS = 0.1; // over which places are smoothed for a still camera
const MILLIMETRES = 1000; // per metre
const FULL = 255; // a byte that means 1

/** Return the bytes that base64 `text` stands for. */
function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Return what deflated base64 `text` holds: an ArrayBuffer. */
async function inflated(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** Positions of one dancer, frame by frame. */
class Track {
  /** Unpack what scene_data.pack_positions has packed. */
  static async of(text, parents) {
    const steps = new Int16Array(await inflated(text)); // joint by joint, time last
    const track = new Track(steps.length / JOINT_NUMBERS);
    for (let number = 0; number < JOINT_NUMBERS; number++) {
      const parent = 3 * parents[Math.floor(number / 3)] + (number % 3);
      let [step, place] = [0, 0];
      for (let frame = 0; frame < track.frames; frame++) {
        step += steps[number * track.frames + frame];
        place += step;
        const from = frame * JOINT_NUMBERS;
        track.numbers[from + number] = place + (parent >= 0 ? track.numbers[from + parent] : 0);
      }
    }
    return track;
  }

  constructor(frames) {
    this.frames = frames;
    this.numbers = new Int16Array(frames * JOINT_NUMBERS);
    this.joints = new Float32Array(JOINT_NUMBERS);
  }

  /** Return the joints at `frame`, metres, between two frames by straight lines. */
  at(frame) {
    const before = Math.max(0, Math.min(Math.floor(frame), this.frames - 1));
    const after = Math.min(before + 1, this.frames - 1);
    const share = Math.max(0, Math.min(frame - before, 1));
    const [from, to] = [before * JOINT_NUMBERS, after * JOINT_NUMBERS];
    for (let i = 0; i < JOINT_NUMBERS; i++) {
      const start = this.numbers[from + i];
      this.joints[i] = (start + (this.numbers[to + i] - start) * share) / MILLIMETRES;
    }
    return this.joints;
  }

  /** Return x, y, z of one joint in a whole frame, metres. */
  place(frame, joint) {
    const from = frame * JOINT_NUMBERS + 3 * joint;
    return [0, 1, 2].map((axis) => this.numbers[from + axis] / MILLIMETRES);
  }
}

/** Feet and palms of one dancer beside this partner: four bytes a frame. */
class Marks {
  constructor(text) {
    this.bytes = bytesOf(text);
  }

  at(frame) {
    const rows = this.bytes.length / 4;
    const from = 4 * Math.max(0, Math.min(Math.round(frame), rows - 1));
    const [leftFoot, rightFoot, leftPalm, rightPalm] = this.bytes.slice(from, from + 4);
    return { feet: [leftFoot / FULL, rightFoot / FULL], palms: [leftPalm / FULL, rightPalm / FULL] };
  }
}

/** Unpack the tracks and marks of everybody in a scene, once. */
async function unpack(scene, parents) {
  for (const one of [...(scene.leader ? [scene.leader] : []), ...scene.followers]) {
    one.track ??= await Track.of(one.positions, parents);
    one.marked ??= new Marks(one.marks);
    if (one.leader_marks) one.leader_marked ??= new Marks(one.leader_marks);
  }
}

/** Those who are on the floor: a leader with the chosen follower, one of them alone, or all. */
class Troupe {
  constructor(scene, choice) {
    const { leader } = scene;
    const others = scene.together ? scene.followers : choice ? [choice] : [];
    this.dancers = others.map((one) => ({
      track: one.track,
      marks: one.marked,
      name: one.name,
      look: (leader ? 1 : 0) + (scene.together ? scene.followers.indexOf(one) : 0),
    }));
    if (leader) {
      const marks = scene.together ? leader.marked : (choice?.leader_marked ?? leader.marked);
      this.dancers.unshift({ track: leader.track, marks, name: leader.name, look: 0 });
    }
    this.judged = choice ?? leader; // whose scores are shown
    this.fps = scene.fps;
    this.frames = this.dancers[0].track.frames;
  }

  tracks() {
    return this.dancers.map((dancer) => dancer.track);
  }

  /** Return the middle of all dancers at each frame, smoothed over `seconds`: what to look at. */
  path(seconds) {
    const middles = Array.from({ length: this.frames }, (_, frame) => {
      const places = this.tracks().map((track) => track.place(frame, PELVIS));
      return [0, 1, 2].map((axis) => places.reduce((sum, place) => sum + place[axis], 0) / places.length);
    });
    const height = middles.reduce((sum, middle) => sum + middle[1], 0) / middles.length;
    const sigma = seconds * this.fps;
    const reach = Math.ceil(2 * sigma);
    return middles.map((_, frame) => {
      const sum = [0, 0, 0];
      for (let off = -reach; off <= reach; off++) {
        const weight = Math.exp(-0.5 * (off / sigma) ** 2);
        const middle = middles[Math.max(0, Math.min(frame + off, this.frames - 1))];
        sum[0] += weight * middle[0];
        sum[1] += weight * middle[2];
        sum[2] += weight;
      }
      return [sum[0] / sum[2], height, sum[1] / sum[2]];
    });
  }

  /** Return the middle of all places, at each frame: for a camera that stands still. */
  stillPath() {
    const path = this.path(STILL_SECONDS);
    const middle = [0, 1, 2].map((axis) => {
      const [low, high] = extremes(path.map((place) => place[axis]));
      return (low + high) / 2;
    });
    return path.map(() => middle);
  }

  /** Return a point of `path` at a frame that may lie between two. */
  at(path, frame) {
    const before = Math.max(0, Math.min(Math.floor(frame), path.length - 1));
    const after = Math.min(before + 1, path.length - 1);
    const share = Math.max(0, Math.min(frame - before, 1));
    return path[before].map((value, axis) => value + (path[after][axis] - value) * share);
  }

  /**
   * Return how far the dancers get from `path`, outsides included: {across, up}, metres.
   * With `seconds`, one for each frame: no less than is needed there, and changing smoothly.
   */
  reach(path, seconds) {
    const needs = path.map(([x, y, z], frame) => {
      const need = { across: 0, up: 0 };
      for (const track of this.tracks()) {
        for (const joint of OUTERMOST) {
          const place = track.place(frame, joint);
          need.across = Math.max(need.across, Math.hypot(place[0] - x, place[2] - z));
          need.up = Math.max(need.up, Math.abs(place[1] - y));
        }
      }
      return need;
    });
    const smooth = (name) => covering(needs.map((need) => need[name]), seconds * this.fps);
    const [across, up] = [smooth("across"), smooth("up")];
    return path.map((_, frame) => ({ across: across[frame] + OUTSIDE, up: up[frame] + OUTSIDE }));
  }
}

/** Return the lowest and the highest value, of however many. */
function extremes(values) {
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
}

/** Return `values` smoothed with a width of `sigma`, and nowhere less than they are. */
function covering(values, sigma) {
  const reach = Math.ceil(2 * sigma);
  const inside = (index) => Math.max(0, Math.min(index, values.length - 1));
  const highest = values.map((_, index) => {
    let most = 0;
    for (let off = -reach; off <= reach; off++) most = Math.max(most, values[inside(index + off)]);
    return most;
  });
  return highest.map((_, index) => {
    let [sum, weights] = [0, 0];
    for (let off = -reach; off <= reach; off++) {
      const weight = Math.exp(-0.5 * (off / sigma) ** 2);
      sum += weight * highest[inside(index + off)];
      weights += weight;
    }
    return sum / weights;
  });
}

/** The time of the dance: that of the sound where there is sound, else of the wall clock. */
class DanceClock {
  constructor(seconds, audio) {
    this.seconds = seconds;
    this.audio = audio; // an <audio> element, or null
    this.rate = 1;
    this.playing = false;
    this.starting = false; // asked to play, but not heard yet
    this.heard = { time: 0, since: 0 }; // what the sound said last, and when
  }

  /** Return the time in seconds. An audio element moves in steps; between them the wall clock goes on. */
  now() {
    const wall = performance.now() / 1000;
    if (this.audio) {
      const time = this.audio.currentTime;
      if (time !== this.heard.time || !this.playing) this.heard = { time, since: wall };
    }
    const ahead = this.playing && !this.starting ? (wall - this.heard.since) * this.rate : 0;
    const trusted = this.audio ? Math.min(ahead, 0.25 * this.rate) : ahead;
    return Math.max(0, Math.min(this.heard.time + trusted, this.seconds));
  }

  seek(time) {
    const inside = Math.max(0, Math.min(time, this.seconds));
    if (this.audio) this.audio.currentTime = inside;
    this.heard = { time: inside, since: performance.now() / 1000 };
  }

  async play() {
    if (this.now() >= this.seconds - 0.02) this.seek(0);
    this.heard = { time: this.now(), since: performance.now() / 1000 };
    this.playing = true;
    if (!this.audio) return;
    this.audio.playbackRate = this.rate;
    this.starting = true;
    try {
      await this.audio.play();
    } catch {
      this.playing = false; // paused at once, or the browser wants a click before sound
    }
    this.starting = false;
    this.heard = { time: this.audio.currentTime, since: performance.now() / 1000 };
  }

  pause() {
    this.heard = { time: this.now(), since: performance.now() / 1000 };
    this.playing = false;
    this.audio?.pause();
  }

  setRate(rate) {
    this.heard = { time: this.now(), since: performance.now() / 1000 };
    this.rate = rate;
    if (this.audio) this.audio.playbackRate = rate;
  }
}
