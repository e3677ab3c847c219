// Publishes a line under the name "hello", once a second.
#include <memio/client.h>

#include <chrono>
#include <iostream>
#include <span>
#include <string>
#include <thread>

int main() {
  auto client = memio::Client::connect();
  if (!client) {
    std::cerr << client.error().text() << '\n';
    return 1;
  }
  auto region = client->create("hello", {.capacity = 4096});
  if (!region) {
    std::cerr << region.error().text() << '\n';
    return 1;
  }
  for (int i = 1;; ++i) {
    const std::string line = "hello, " + std::to_string(i);
    if (auto published = region->write(std::as_bytes(std::span(line))); !published) {
      std::cerr << published.error().text() << '\n';
      return 1;
    }
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}
