// A picture that can be zoomed and moved: wheel, drag, pinch, double click, buttons and keys.

const LARGEST = 8; // maximum screen px per photo px
const STEP = 1.35;

export class Picture {
  /** `stage` is the clipping frame, `image` moves in it, `level` shows the zoom in per cent. */
  constructor(stage, image, level) {
    Object.assign(this, { stage, image, level, scale: 1, x: 0, y: 0, pointers: new Map() });
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    // Chromium treats a quick pinch or drag as a fling, even with touch-action, and ignores the next tap.
    stage.addEventListener("touchmove", (event) => event.preventDefault(), { passive: false });
    for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) {
      stage.addEventListener(name, (event) => this.#pointer(event));
    }
    stage.addEventListener("dblclick", (event) => this.#toggle(event));
    stage.addEventListener("keydown", (event) => this.#key(event));
    image.addEventListener("load", () => this.fit());
    new ResizeObserver(() => this.fit()).observe(stage);
  }

  /** Show another photo; resolves when it is loaded, rejects if it cannot be loaded. */
  show(source, width, height) {
    this.width = width;
    this.height = height;
    this.image.width = width;
    this.image.height = height;
    return new Promise((resolve, reject) => {
      this.image.onload = resolve;
      this.image.onerror = () => reject(new Error("the photo could not be loaded"));
      this.image.src = source;
    });
  }

  get zoomed() {
    return this.scale > this.#fitting() * 1.001;
  }

  fit() {
    if (!this.width) return;
    this.scale = this.#fitting();
    this.x = (this.stage.clientWidth - this.width * this.scale) / 2;
    this.y = (this.stage.clientHeight - this.height * this.scale) / 2;
    this.#draw();
  }

  /** Zoom in (`steps` > 0) or out around a point of the stage, by default its middle. */
  zoom(steps, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    this.#scaleTo(this.scale * STEP ** steps, x, y);
  }

  /** Move the view by a share of the stage. */
  pan(right, down) {
    this.#move(-right * this.stage.clientWidth, -down * this.stage.clientHeight);
  }

  #fitting() {
    return Math.min(this.stage.clientWidth / this.width, this.stage.clientHeight / this.height, LARGEST);
  }

  #scaleTo(wanted, x, y) {
    if (!this.width) return;
    const smallest = this.#fitting();
    const scale = Math.min(Math.max(wanted, smallest), Math.max(LARGEST, smallest));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.#move(0, 0);
  }

  #move(right, down) {
    const held = (at, size, room) => (size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, at)));
    this.x = held(this.x + right, this.width * this.scale, this.stage.clientWidth);
    this.y = held(this.y + down, this.height * this.scale, this.stage.clientHeight);
    this.#draw();
  }

  #draw() {
    this.image.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.stage.dataset.zoomed = this.zoomed ? "yes" : "no";
    this.level.textContent = `${Math.round(this.scale * 100)} %`;
  }

  #wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * 16 : event.deltaY;
    this.zoom(-lines / 120, event.offsetX, event.offsetY);
  }

  #toggle(event) {
    if (this.zoomed) this.fit();
    else this.#scaleTo(Math.max(1, this.scale * 2.5), event.offsetX, event.offsetY);
  }

  #pointer(event) {
    const held = this.pointers;
    if (event.type === "pointerdown") {
      if (event.button > 0) return;
      this.stage.setPointerCapture(event.pointerId);
      held.set(event.pointerId, event);
    } else if (event.type !== "pointermove") {
      held.delete(event.pointerId);
    } else if (held.has(event.pointerId)) {
      const before = held.get(event.pointerId);
      const other = [...held.values()].find((one) => one.pointerId !== event.pointerId);
      held.set(event.pointerId, event);
      if (other) this.#pinch(before, event, other);
      else this.#move(event.clientX - before.clientX, event.clientY - before.clientY);
    }
  }

  #pinch(before, now, other) {
    const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
    const frame = this.stage.getBoundingClientRect();
    const x = (now.clientX + other.clientX) / 2 - frame.left;
    const y = (now.clientY + other.clientY) / 2 - frame.top;
    this.#scaleTo((this.scale * apart(now)) / apart(before), x, y);
    this.#move((now.clientX - before.clientX) / 2, (now.clientY - before.clientY) / 2);
  }

  #key(event) {
    const moves = { ArrowLeft: [-0.2, 0], ArrowRight: [0.2, 0], ArrowUp: [0, -0.2], ArrowDown: [0, 0.2] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (moves[event.key]) this.pan(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(1);
    else if (event.key === "-") this.zoom(-1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
