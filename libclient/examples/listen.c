/* SPDX-License-Identifier: MIT */
/* Prints the messages of a topic as they come, and calls "text/upper" once: memio-listen-c PATTERN */
#include <memio.h>
#include <stdio.h>

static int failed(void) {
  fprintf(stderr, "%s\n", memio_error_message());
  if (memio_error_rejection()) fprintf(stderr, "the handler calls it %s\n", memio_error_rejection());
  return 1;
}

int main(int argc, char** argv) {
  memio_client* client;
  memio_listener* listener;
  memio_answer* answer;
  if (memio_connect(NULL, &client) || memio_listen(client, argc > 1 ? argv[1] : "**", 0, &listener)) return failed();
  if (memio_call(client, "text/upper", "\"listening\"", 5000, NULL, &answer)) return failed();
  printf("%s\n", memio_answer_result(answer));
  fflush(stdout);
  memio_answer_free(answer);
  struct memio_message message;
  while (memio_listener_wait(listener, -1, &message) == 1) {
    printf("%s %s\n", message.topic, message.payload);
    fflush(stdout);
  }
  return failed();
}
