// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <string>

#include "memio/unique_fd.h"
#include "support/failing_calls.h"
#include "support/process.h"

namespace memio::test {

// A file that a test shares with the programs whose calls to the system it lets fail.
class SharedFaults {
 public:
  SharedFaults() {
    std::ofstream(path()) << std::string(sizeof(Faults), '\0');
    const UniqueFd fd(::open(path().c_str(), O_RDWR | O_CLOEXEC));
    void* data = ::mmap(nullptr, sizeof(Faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (data == MAP_FAILED) throw std::runtime_error("cannot map the faults");
    faults_ = static_cast<Faults*>(data);
  }
  ~SharedFaults() { ::munmap(faults_, sizeof(Faults)); }
  SharedFaults(const SharedFaults&) = delete;
  SharedFaults& operator=(const SharedFaults&) = delete;

  // What a program is started with whose calls are to fail.
  [[nodiscard]] Process::Environment environment() const {
    return {{"LD_PRELOAD", FAILING_CALLS}, {"MEMIO_FAULTS", path()}};
  }
  // From now on only calls of this process count, or, if it is negative, of all but that.
  void choose(pid_t process) { faults_->process = process; }
  void fail_at(int call, int error) {
    faults_->failed = {};
    faults_->error = error;
    faults_->countdown = call;
  }
  // Nothing fails any more. The name of the call that failed; empty if it never came to it.
  std::string stop() {
    faults_->countdown = 0;
    return faults_->failed.data();
  }

 private:
  [[nodiscard]] std::string path() const { return directory_.path() + "/faults"; }

  TemporaryDirectory directory_;
  Faults* faults_ = nullptr;
};

// The name of a test with this errno as its parameter.
inline std::string error_name(int error) { return error == ENOMEM ? "ENOMEM" : error == EMFILE ? "EMFILE" : "ENOSPC"; }

}  // namespace memio::test
