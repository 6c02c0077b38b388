// The dance as the page receives it: positions in millimetres, and what time it is in the music.

const JOINTS = 55;
const JOINT_NUMBERS = 3 * JOINTS;
const JOINT_LIST = [...Array(JOINTS).keys()];
const PELVIS = 0;
const OUTSIDE = 0.15; // m from the outermost joint to the outside of the body
const MOST = 0.97; // share of the frames that must be in the picture
const MILLIMETRES = 1000; // per metre
const FULL = 255; // a byte that means 1

/** Return the bytes that base64 `text` stands for. */
function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Positions of one dancer, frame by frame. */
class Track {
  constructor(text) {
    this.numbers = new Int16Array(bytesOf(text).buffer);
    this.frames = this.numbers.length / JOINT_NUMBERS;
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

/** A leader with one follower, or one of them alone. */
class Couple {
  constructor(scene, choice) {
    const first = scene.leader ?? choice;
    first.track ??= new Track(first.positions);
    this.leader = first.track;
    this.follower = null;
    this.marksOf = { leader: new Marks(first.marks) };
    if (choice && scene.leader) {
      choice.track ??= new Track(choice.positions);
      this.follower = choice.track;
      this.marksOf = { leader: new Marks(choice.leader_marks), follower: new Marks(choice.marks) };
    }
    this.fps = scene.fps;
    this.frames = this.leader.frames;
  }

  marks(role, frame) {
    return this.marksOf[role].at(frame);
  }

  tracks() {
    return this.follower ? [this.leader, this.follower] : [this.leader];
  }

  /** Return the middle of the couple at each frame, smoothed over `seconds`: what to look at. */
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

  /** Return a point of `path` at a frame that may lie between two. */
  at(path, frame) {
    const before = Math.max(0, Math.min(Math.floor(frame), path.length - 1));
    const after = Math.min(before + 1, path.length - 1);
    const share = Math.max(0, Math.min(frame - before, 1));
    return path[before].map((value, axis) => value + (path[after][axis] - value) * share);
  }

  /** Return how far the dancers mostly get from `path`, metres across and up, outsides included. */
  reach(path) {
    const [across, up] = [[], []];
    for (let frame = 0; frame < this.frames; frame += 3) {
      const places = this.tracks().flatMap((track) => JOINT_LIST.map((joint) => track.place(frame, joint)));
      const [x, y, z] = path[frame];
      across.push(Math.max(...places.map((place) => Math.hypot(place[0] - x, place[2] - z))));
      up.push(Math.max(...places.map((place) => Math.abs(place[1] - y))));
    }
    return { across: mostly(across) + OUTSIDE, up: mostly(up) + OUTSIDE };
  }
}

/** Return the value that all but the highest few are below. */
function mostly(values) {
  values.sort((one, other) => one - other);
  return values[Math.floor(MOST * (values.length - 1))];
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
