// SPDX-License-Identifier: MIT
// The charts of this machine, made of what Telemetry has read.
import { TimeChart } from './chart.js';
import { bytes, count, rate } from './format.js';
import { coreLoad, field, perSecond } from './telemetry.js';

const stepMs = 50; // from point to point
const windowMs = 400; // over which a rate is taken: the kernel counts processor time in ticks of 10 ms
const namedCores = 8;
const coreColors = ['--teal', '--gold', '--blue', '--rust', '--plum', '--good'];

const percent = (part) => `${Math.round(part * 100)} %`;

/** Each: its title, its series, and what they are worth between two records. */
function describe(record) {
  const cores = record[field.coreCount];
  const gigabytes = (value) => bytes(value);
  return [
    {
      title: 'Processor',
      wide: true,
      max: 1,
      format: percent,
      series: Array.from({ length: cores }, (_, core) => ({
        name: `core ${core}`,
        color: coreColors[core % coreColors.length],
        fill: cores <= 4,
      })),
      measure: (from, to) => Array.from({ length: cores }, (_, core) => coreLoad(from, to, core)),
    },
    {
      title: 'Memory',
      max: record[field.memoryTotal],
      format: gigabytes,
      series: [
        { name: 'used', color: '--blue', fill: true },
        { name: 'cached', color: '--plum' },
      ],
      measure: (_, to) => [to[field.memoryTotal] - to[field.memoryAvailable], to[field.memoryCached]],
    },
    {
      title: 'Context switches',
      least: 1000,
      format: (value) => `${count(value)}/s`,
      series: [{ name: '', color: '--gold', fill: true }],
      measure: (from, to) => [perSecond(from, to, field.contextSwitches)],
    },
    {
      title: 'Network',
      least: 1000,
      format: rate,
      series: [
        { name: 'in', color: '--teal', fill: true },
        { name: 'out', color: '--rust' },
      ],
      measure: (from, to) => [perSecond(from, to, field.networkReceived), perSecond(from, to, field.networkSent)],
    },
    {
      title: 'Disk',
      least: 1_000_000,
      format: rate,
      series: [
        { name: 'read', color: '--blue', fill: true },
        { name: 'write', color: '--rust' },
      ],
      measure: (from, to) => [perSecond(from, to, field.diskRead), perSecond(from, to, field.diskWritten)],
    },
  ];
}

function element(tag, className, parent) {
  const made = document.createElement(tag);
  made.className = className;
  parent.append(made);
  return made;
}

class Panel {
  #description;
  #chart;
  #outputs;

  constructor(description, parent) {
    this.#description = description;
    const box = element('article', description.wide ? 'chart wide' : 'chart', parent);
    const header = element('header', '', box);
    element('h3', '', header).textContent = description.title;
    this.#outputs = description.series.slice(0, namedCores).map((series) => {
      const value = element('span', 'value', header);
      value.style.setProperty('--series', `var(${series.color})`);
      element('span', '', value).textContent = series.name ? `${series.name} ` : '';
      return element('b', '', value);
    });
    this.#chart = new TimeChart(element('canvas', '', element('div', 'plot', box)), description);
  }

  push(from, to, showValues) {
    const values = this.#description.measure(from, to);
    this.#chart.push(to[field.publishedMs], values);
    if (!showValues) return;
    this.#outputs.forEach((output, index) => (output.textContent = this.#description.format(values[index])));
  }

  draw(now) {
    this.#chart.draw(now);
  }
}

export class Machine {
  #telemetry;
  #parent;
  #panels;
  #first;
  #last = 0;
  #steps = 0;

  constructor(telemetry, parent) {
    this.#telemetry = telemetry;
    this.#parent = parent;
  }

  /** How many seconds of history there are. */
  get seconds() {
    return this.#first === undefined ? 0 : (this.#last - this.#first) / 1000;
  }

  /** Once a screen frame. */
  draw() {
    const { latest } = this.#telemetry;
    if (latest === undefined) return;
    this.#panels ??= describe(latest).map((description) => new Panel(description, this.#parent));
    if (latest[field.publishedMs] - this.#last >= stepMs) {
      this.#last = latest[field.publishedMs];
      this.#first ??= this.#last;
      this.#steps += 1;
      const from = this.#telemetry.before(windowMs);
      for (const panel of this.#panels) panel.push(from, latest, this.#steps % 5 === 0);
    }
    const now = Date.now();
    for (const panel of this.#panels) panel.draw(now);
  }
}
