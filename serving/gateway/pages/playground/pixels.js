// A picture as a model takes it: raw values by row, column and channel, drawn on with a soft pen. Knows no page.

export class Pixels {
  constructor(input) {
    [this.height, this.width, this.channels = 1] = input.shape;
    this.hasChannels = input.shape.length === 3;
    this.low = input.minimum;
    this.high = input.maximum;
    this.clear();
  }

  clear() { this.values = new Array(this.height * this.width * this.channels).fill(this.low); }

  get isBlank() { return this.values.every((value) => value === this.low); }

  invert() { this.values = this.values.map((value) => this.high + this.low - value); }

  /** A soft disc around a point, in pixels; an eraser takes light away. */
  stamp(x, y, radius, isEraser) {
    for (let row = Math.max(0, Math.floor(y - radius - 1)); row <= Math.min(this.height - 1, y + radius + 1); row++) {
      for (let column = Math.max(0, Math.floor(x - radius - 1)); column <= Math.min(this.width - 1, x + radius + 1); column++) {
        const cover = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(column + 0.5 - x, row + 0.5 - y)));
        if (cover > 0) this.#paint((row * this.width + column) * this.channels, isEraser ? 1 - cover : cover, isEraser);
      }
    }
  }

  #paint(start, share, isEraser) {
    const value = Math.round(this.low + share * (this.high - this.low));
    for (let i = start; i < start + this.channels; i++) {
      this.values[i] = isEraser ? Math.min(this.values[i], value) : Math.max(this.values[i], value);
    }
  }

  /** A stroke between two points. */
  stroke(from, to, radius, isEraser) {
    const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) * 2));
    for (let i = 0; i <= steps; i++) {
      this.stamp(from.x + ((to.x - from.x) * i) / steps, from.y + ((to.y - from.y) * i) / steps, radius, isEraser);
    }
  }

  /** Take a JSON instance: nested lists. */
  load(instance) { this.values = instance.flat(2); }

  /** The JSON instance: lists as the contract's shape nests them. */
  get instance() {
    const groups = (values, size) => Array.from({ length: values.length / size }, (_, i) => values.slice(i * size, (i + 1) * size));
    return groups(this.hasChannels ? groups(this.values, this.channels) : this.values, this.width);
  }

  /** Screen pixels (RGBA); channels beyond three are not seen. */
  get screen() {
    const image = new ImageData(this.width, this.height);
    for (let i = 0; i < this.width * this.height; i++) {
      for (let c = 0; c < 3; c++) {
        const value = this.values[i * this.channels + (this.channels < 3 ? 0 : c)];
        image.data[4 * i + c] = (255 * (value - this.low)) / (this.high - this.low);
      }
      image.data[4 * i + 3] = 255;
    }
    return image;
  }

  /** Take a decoded picture as the gateway would: whole, in proportion, the rest black. */
  fit(bitmap) {
    const canvas = new OffscreenCanvas(this.width, this.height);
    const context = canvas.getContext("2d");
    const scale = Math.min(this.width / bitmap.width, this.height / bitmap.height);
    const [width, height] = [bitmap.width * scale, bitmap.height * scale];
    context.imageSmoothingQuality = "high";
    context.fillRect(0, 0, this.width, this.height);
    context.drawImage(bitmap, (this.width - width) / 2, (this.height - height) / 2, width, height);
    const { data } = context.getImageData(0, 0, this.width, this.height);
    for (let i = 0; i < this.width * this.height; i++) {
      const rgb = data.subarray(4 * i, 4 * i + 3);
      const grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
      for (let c = 0; c < this.channels; c++) {
        const share = (this.channels < 3 ? grey : rgb[c]) / 255;
        this.values[i * this.channels + c] = Math.round(this.low + share * (this.high - this.low));
      }
    }
  }
}
