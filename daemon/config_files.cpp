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

}  // namespace

std::vector<std::string> config_files_in(const std::vector<std::string>& directories) {
  std::vector<std::string> files;
  std::map<std::string, std::string> drop_ins;  // by name; the last directory wins
  for (const auto& directory : directories) {
    std::error_code ignored;  // what is not there says nothing
    const auto main_file = fs::path(directory) / "memiod.conf";
    if (fs::exists(fs::symlink_status(main_file, ignored))) files.push_back(main_file);
    for (fs::directory_iterator entry(fs::path(directory) / "memiod.conf.d", ignored), end; entry != end;
         entry.increment(ignored)) {
      const auto& path = entry->path();
      if (path.extension() == ".conf" && !path.filename().string().starts_with('.'))
        drop_ins.insert_or_assign(path.filename(), path);
    }
  }
  for (const auto& [name, path] : drop_ins) files.push_back(path);
  return files;
}

std::vector<std::string> default_config_files() {
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
