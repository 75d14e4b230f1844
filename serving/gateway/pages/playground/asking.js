// Live questions: the newest one counts, one is under way at a time, and a burst of changes becomes one question.

const PAUSE_MS = 25;

/** Calls `send()` soon after `ask()`, and never while another call is under way. */
export class Asking {
  #send;
  #isUnderWay = false;
  #isWanted = false;
  #timer = 0;

  constructor(send) { this.#send = send; }

  /** Something changed. `now`: it is not one of many changes. */
  ask({ now = false } = {}) {
    this.#isWanted = true;
    clearTimeout(this.#timer);
    if (now) this.#go();
    else this.#timer = setTimeout(() => this.#go(), PAUSE_MS);
  }

  /** Ask no more. */
  stop() {
    this.#isWanted = false;
    clearTimeout(this.#timer);
    this.#send = async () => {};
  }

  async #go() {
    if (this.#isUnderWay || !this.#isWanted) return;
    this.#isWanted = false;
    this.#isUnderWay = true;
    try {
      await this.#send();
    } finally {
      this.#isUnderWay = false;
      if (this.#isWanted) this.ask();
    }
  }
}
