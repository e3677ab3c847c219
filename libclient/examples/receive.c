/* Receives the stream "parcel" and writes it to standard output. */
#include <memio.h>
#include <stdio.h>

static int failed(void) {
  fprintf(stderr, "%s\n", memio_error_message());
  return 1;
}

int main(void) {
  memio_client* client;
  memio_stream_reader* reader;
  if (memio_connect(NULL, &client) || memio_open_stream_reader(client, "parcel", &reader)) return failed();
  for (;;) {
    memio_chunk* chunk;
    if (memio_stream_reader_next(reader, -1, &chunk)) return failed();
    if (!chunk) break;
    fwrite(memio_chunk_data(chunk), 1, memio_chunk_length(chunk), stdout);
    memio_chunk_free(chunk);
  }
  memio_stream_reader_free(reader);
  memio_client_free(client);
  return fflush(stdout) == 0 ? 0 : 1;
}
