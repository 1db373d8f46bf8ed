/**
 * Text on a terminal that is written again and again: a whole screen for `--watch`, one line for waiting.
 * Invariant: whatever happens, the terminal has its own screen, its cursor and its line wrapping back afterwards; to a pipe
 * no control sequence is written. Sequences: ECMA-48 and xterm's private modes (7 wrapping, 25 cursor, 1049 second screen).
 */
import type { WriteStream } from "node:tty";

const CSI = "\u001b[";
const WRAP_OFF = `${CSI}?7l`;
const WRAP_ON = `${CSI}?7h`;

/** One line on stderr, as long as it is a terminal. */
export class ProgressLine {
  readonly #stream: WriteStream = process.stderr;
  #isShown = false;

  get isVisible(): boolean {
    return this.#stream.isTTY === true;
  }

  show(text: string): void {
    if (!this.isVisible) return;
    this.#isShown = true;
    // Without wrapping the line stays one line, however wide its characters are.
    this.#stream.write(`\r${CSI}K${WRAP_OFF}${text}${WRAP_ON}`);
  }

  clear(): void {
    if (this.#isShown) this.#stream.write(`\r${CSI}K`);
    this.#isShown = false;
  }
}

/** The second screen of the terminal on stdout, as full-screen programs use it. */
export class Screen {
  readonly #stream: WriteStream = process.stdout;

  open(): void {
    this.#stream.write(`${CSI}?1049h${CSI}?25l${WRAP_OFF}`);
  }

  /** Shows these lines, as many as there is room for. */
  paint(lines: readonly string[]): void {
    const room = lines.slice(0, Math.max(1, this.#stream.rows - 1));
    this.#stream.write(`${CSI}H${room.map((line) => `${line}${CSI}K\r\n`).join("")}${CSI}J`);
  }

  close(): void {
    this.#stream.write(`${WRAP_ON}${CSI}?25h${CSI}?1049l`);
  }
}
