// SPDX-License-Identifier: MIT
#pragma once

#include <systemd/sd-bus.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <string>

#include "must.h"
#include "process.h"
#include "run.h"

namespace memio::bench {

// A bus of our own with a service of our own on it.
class DbusPeer {
 public:
  // Its method takes a text such as `question` and answers with `answer`.
  DbusPeer(std::string question, std::string answer) : question_(std::move(question)) {
    address_ = "unix:path=" + directory_.path() + "/bus";
    const auto config = directory_.path() + "/bus.conf";
    // What a session's bus has.
    std::ofstream(config) << "<busconfig><type>session</type><listen>" << address_
                          << "</listen><auth>EXTERNAL</auth><policy context=\"default\">"
                             "<allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>"
                             "<allow own=\"*\"/></policy></busconfig>";
    daemon_.emplace(Process::run(
        {"dbus-daemon", "--nofork", "--nosyslog", "--nopidfile", "--config-file", config, "--print-address"}, {},
        true));
    char byte = 0;
    must(::read(daemon_->output(), &byte, 1), "waiting for dbus-daemon");
    const test::Turnstile ready;
    service_.emplace(Process::fork([&] { return serve(answer, ready); }));
    ready.wait();
    bus_ = connect();
  }
  ~DbusPeer() { sd_bus_flush_close_unref(bus_); }
  DbusPeer(const DbusPeer&) = delete;
  DbusPeer& operator=(const DbusPeer&) = delete;

  void call() {
    sd_bus_message* reply = nullptr;
    check(sd_bus_call_method(bus_, "io.memio.Bench", "/bench", "io.memio.Bench", "Stat", nullptr, &reply, "s",
                             question_.c_str()));
    const char* text = nullptr;
    check(sd_bus_message_read(reply, "s", &text));
    benchmark::DoNotOptimize(text);
    sd_bus_message_unref(reply);
  }

 private:
  static void check(int result) {
    if (result < 0) die(std::string("sd-bus: ") + std::strerror(-result));
  }
  sd_bus* connect() const {
    sd_bus* bus = nullptr;
    check(sd_bus_new(&bus));
    check(sd_bus_set_address(bus, address_.c_str()));
    check(sd_bus_set_bus_client(bus, 1));
    check(sd_bus_start(bus));
    return bus;
  }
  int serve(std::string& answer, const test::Turnstile& ready) const {
    const auto stat = [](sd_bus_message* message, void* userdata, sd_bus_error*) {
      const char* name = nullptr;
      check(sd_bus_message_read(message, "s", &name));
      return sd_bus_reply_method_return(message, "s", static_cast<std::string*>(userdata)->c_str());
    };
    static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0), SD_BUS_METHOD("Stat", "s", "s", stat, SD_BUS_VTABLE_UNPRIVILEGED), SD_BUS_VTABLE_END};
    sd_bus* bus = connect();
    check(sd_bus_add_object_vtable(bus, nullptr, "/bench", "io.memio.Bench", vtable, &answer));
    check(sd_bus_request_name(bus, "io.memio.Bench", 0));
    ready.pass();
    for (;;) {
      const int handled = sd_bus_process(bus, nullptr);
      check(handled);
      if (handled == 0) check(sd_bus_wait(bus, UINT64_MAX));
    }
  }

  std::string question_;
  test::TemporaryDirectory directory_;
  std::string address_;
  std::optional<Process> daemon_;
  std::optional<Process> service_;
  sd_bus* bus_ = nullptr;
};

}  // namespace memio::bench
