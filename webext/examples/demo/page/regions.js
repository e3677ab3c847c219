// SPDX-License-Identifier: MIT
// The table of regions, as the broker lists them.
import { bytes, integer } from './format.js';

export class RegionTable {
  #body = document.getElementById('regions');
  #rows = new Map();

  async refresh() {
    const regions = await memio.list('demo/**');
    const present = new Set(regions.map((region) => region.name));
    for (const [name, row] of this.#rows) {
      if (present.has(name)) continue;
      row.remove();
      this.#rows.delete(name);
    }
    for (const region of regions) {
      const { cells } = this.#row(region);
      cells[2].textContent = region.handles;
      cells[3].textContent = integer(region.sequence);
    }
  }

  #row(region) {
    let row = this.#rows.get(region.name);
    if (row === undefined) {
      row = this.#body.insertRow();
      row.insertCell().textContent = region.name;
      const slots = row.insertCell();
      slots.className = 'slots';
      slots.textContent = `${region.slots} × ${bytes(region.capacity)}`;
      row.insertCell().className = 'handles';
      row.insertCell();
      this.#rows.set(region.name, row);
    }
    return row;
  }
}
