// SPDX-License-Identifier: MIT
import { check } from './check.js';
import { Film } from './film.js';
import { bytes, decimal, integer, milliseconds } from './format.js';
import { trouble } from './host.js';
import { Machine } from './machine.js';
import { RegionTable } from './regions.js';
import { RoadsPanel } from './roads_panel.js';
import { Telemetry } from './telemetry.js';
import { UploadPanel } from './upload_panel.js';

const figuresEveryMs = 250;

addEventListener('error', (event) => trouble(event.error ?? event.message));
addEventListener('unhandledrejection', (event) => trouble(event.reason));

const show = (id, text) => (document.getElementById(id).textContent = text);

function showFigures(telemetry, film) {
  const fps = film.shown.perSecond();
  show('figure-updates', integer(telemetry.recent.perSecond() + fps));
  show('figure-latency', decimal(telemetry.recent.mean(), 1));
  show('figure-fps', decimal(fps, 1));
  show('figure-throughput', integer((fps * film.frameBytes) / 1e6));
  if (film.frames === 0) return;
  show('film-number', integer(film.number));
  show('film-size', `${film.width} × ${film.height}`);
  show('film-bytes', bytes(film.frameBytes));
  show('film-latency', milliseconds(film.shown.mean()));
  show('film-draw', milliseconds(film.drawing.mean()));
}

async function start() {
  if (globalThis.memio === undefined) throw new Error('There is no `memio` here: has the extension been loaded?');
  const telemetry = await Telemetry.open();
  const machine = new Machine(telemetry, document.getElementById('charts'));
  const film = await Film.open(document.getElementById('film'));
  const uploads = await UploadPanel.open();
  const roads = await RoadsPanel.open();
  const regions = new RegionTable();

  // Charts at every other screen frame: nobody sees more, and the film has the time.
  let even = false;
  const onScreenFrame = () => {
    even = !even;
    if (even) machine.draw();
    requestAnimationFrame(onScreenFrame);
  };
  onScreenFrame();
  setInterval(() => {
    showFigures(telemetry, film);
    regions.refresh().catch(trouble);
  }, figuresEveryMs);

  if (location.hash === '#check') await check({ telemetry, machine, film, uploads, roads });
  else await roads.measure();
}

start().catch(trouble);
