// SPDX-License-Identifier: MIT
// Which files the configuration is in, and reading them.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "config.h"
#include "memio/unique_fd.h"

namespace memio::broker {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_file = std::size_t{64} << 10;

// Opens for reading what is a file; anything else could keep us waiting. /dev/null is an empty file.
Result<std::string> read_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return fail_errno(errno, "cannot read the configuration " + path);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(errno, "cannot read the configuration " + path);
  if (S_ISCHR(status.st_mode)) return std::string();
  if (!S_ISREG(status.st_mode)) return fail(Errc::system, "the configuration " + path + " is not a file");
  std::string text(longest_file + 1, '\0');
  std::size_t size = 0;
  for (ssize_t n = 1; n > 0 && size < text.size();) {
    n = ::read(fd.get(), text.data() + size, text.size() - size);
    if (n < 0) return fail_errno(errno, "cannot read the configuration " + path);
    size += static_cast<std::size_t>(n);
  }
  if (size > longest_file)
    return fail(Errc::system,
                "the configuration " + path + " is longer than " + std::to_string(longest_file) + " bytes");
  text.resize(size);
  return text;
}

// What is not there says nothing. What cannot be looked at must not be taken for that: it may restrict something.
Result<void> check_looked_at(const std::error_code& error, const fs::path& path) {
  if (!error || error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) return {};
  return fail_errno(error.value(), "cannot look for the configuration " + path.string());
}

Result<bool> is_there(const fs::path& path) {
  std::error_code error;
  const auto status = fs::symlink_status(path, error);
  if (auto looked = check_looked_at(error, path); !looked) return fail(std::move(looked.error()));
  return fs::exists(status);
}

using DropIns = std::map<std::string, std::string>;  // paths by names; the last directory wins

Result<void> add_drop_ins(const fs::path& directory, DropIns& to) {
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    const auto& path = entry->path();
    if (path.extension() == ".conf" && !path.filename().string().starts_with('.'))
      to.insert_or_assign(path.filename(), path);
  }
  return check_looked_at(error, directory);
}

}  // namespace

Result<std::vector<std::string>> config_files_in(const std::vector<std::string>& directories) {
  std::vector<std::string> files;
  DropIns drop_ins;
  for (const fs::path directory : directories) {
    const auto main_file = directory / "memiod.conf";
    const auto there = is_there(main_file);
    if (!there) return fail(there.error());
    if (*there) files.push_back(main_file);
    if (auto added = add_drop_ins(directory / "memiod.conf.d", drop_ins); !added) return fail(std::move(added.error()));
  }
  for (const auto& [name, path] : drop_ins) files.push_back(path);
  return files;
}

Result<std::vector<std::string>> default_config_files() {
  std::vector<std::string> directories = {"/etc/memio"};
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  // As the XDG base directory specification has it: a path that is not absolute is to be ignored.
  if (const auto config = variable("XDG_CONFIG_HOME"); config.starts_with('/'))
    directories.push_back(config + "/memio");
  else if (const auto home = variable("HOME"); home.starts_with('/'))
    directories.push_back(home + "/.config/memio");
  return config_files_in(directories);
}

Result<Config> load_config(const std::vector<std::string>& files) {
  Config config;
  for (const auto& file : files) {
    const auto text = read_file(file);
    if (!text) return fail(text.error());
    if (auto read = read_config(*text, file, config); !read) return fail(std::move(read.error()));
  }
  return config;
}

}  // namespace memio::broker
