// The player's stage for a couple that dances now, posed anew with every frame. Needs stage.js.

const NUMBERS = 165; // of a pose: x, y, z of 55 joints
const HEIGHT = 0.95; // m, where the camera looks
const REACH = { across: 1.1, up: 1.0 }; // m around the couple that are always in the picture
const ROOM = 2.6; // m around the couple in which shadows fall
const LAZY = 0.04; // share of the way to the couple that the camera goes with each picture
const LOST = 3; // m; a couple this far from where the camera looks has jumped there
const NO_MARKS = { feet: [0, 0], palms: [0, 0] };
const DARK = window.matchMedia("(prefers-color-scheme: dark)");
const CALM = window.matchMedia("(prefers-reduced-motion: reduce)");

class LiveStage extends Stage {
  constructor(canvas, figure) {
    super(canvas, figure, CALM.matches);
    this.reach = REACH;
    this.lightUp(ROOM);
    this.invite(2);
    this.dress();
    DARK.addEventListener("change", () => this.dress());
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
    this.resize();
  }

  dress() {
    this.paint(DARK.matches ? "dark" : "light");
  }

  /** Pose both: 165 numbers each, metres. */
  pose(leader, follower) {
    [leader, follower].forEach((joints, place) => {
      const dancer = this.dancers[place];
      if (!dancer.limbs.length) dancer.shape(joints);
      dancer.pose(joints, NO_MARKS, false);
    });
    const here = this.centre.toArray();
    const there = [(leader[0] + follower[0]) / 2, HEIGHT, (leader[2] + follower[2]) / 2];
    const lost = !this.found || Math.hypot(there[0] - here[0], there[2] - here[2]) > LOST;
    this.moveTo(lost ? there : here.map((from, axis) => from + LAZY * (there[axis] - from)));
    if (lost) this.frame();
    this.found = true;
  }
}
