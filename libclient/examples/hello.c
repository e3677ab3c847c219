/* Follows the region "hello": prints each line that is published. */
#include <memio.h>
#include <stdio.h>

static int failed(void) {
  fprintf(stderr, "%s\n", memio_error_message());
  return 1;
}

int main(void) {
  memio_client* client;
  memio_region* region;
  if (memio_connect(NULL, &client) || memio_open(client, "hello", MEMIO_READ, &region)) return failed();
  uint64_t seen = 0;
  while (memio_region_wait(region, seen, -1, &seen) == 0) {
    memio_snapshot* snapshot;
    if (memio_region_read(region, &snapshot)) return failed();
    printf("%.*s\n", (int)memio_snapshot_length(snapshot), (const char*)memio_snapshot_data(snapshot));
    fflush(stdout);
    seen = memio_snapshot_sequence(snapshot);
    memio_snapshot_free(snapshot);
  }
  return failed();
}
