#include "tools/disk_boot/boot_entry.h"

#include <algorithm>
#include <cstring>

namespace patchbay::tools::disk_boot {
namespace {

using Words = std::vector<std::string>;

constexpr std::string_view kBlanks = " \t\r";

/// Takes the text up to the next line end.
std::string_view take_line(std::string_view& text) noexcept {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

/// The words of a line as GRUB's shell splits it: quotes, backslashes, comments.
Words shell_words(std::string_view line) {
  Words words;
  std::string word;
  bool in_word = false;
  char quote = '\0';
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != '\0' ? c == quote : c == '"' || c == '\'') {
      quote = quote == '\0' ? c : '\0';
      in_word = true;
    } else if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
      word += line[++i];
      in_word = true;
    } else if (quote == '\0' && kBlanks.find(c) != std::string_view::npos) {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
    } else if (quote == '\0' && c == '#' && !in_word) {
      break;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

Words blank_separated(std::string_view text) {
  Words words;
  for (std::size_t at = 0; (at = text.find_first_not_of(kBlanks, at)) != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

/// GRUB may name the device in front: (hd0,gpt1)/boot/vmlinuz, ($root)/vmlinuz.
std::string without_device(const std::string& path) {
  const std::size_t end = path.starts_with('(') ? path.find(')') : std::string::npos;
  return end == std::string::npos ? path : path.substr(end + 1);
}

bool has_variable(const std::string& word) noexcept {
  return word.find('$') != std::string::npos;
}

void add_options(std::string& options, Words::const_iterator begin, Words::const_iterator end) {
  for (; begin != end; ++begin) {
    if (has_variable(*begin)) continue;
    if (!options.empty()) options += ' ';
    options += *begin;
  }
}

void add_initrds(std::vector<std::string>& initrds, Words::const_iterator begin, Words::const_iterator end) {
  for (; begin != end; ++begin) {
    if (!has_variable(*begin) || begin->starts_with('(')) initrds.push_back(without_device(*begin));
  }
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> names) noexcept {
  return std::find(names.begin(), names.end(), word) != names.end();
}

bool is_rescue(std::string_view name) noexcept {
  return name.find("rescue") != std::string_view::npos;
}

}  // namespace

std::optional<BootEntry> first_grub_entry(std::string_view grub_cfg) {
  std::optional<BootEntry> entry;
  while (!grub_cfg.empty()) {
    const Words words = shell_words(take_line(grub_cfg));
    if (words.empty()) continue;
    const std::string& command = words.front();
    if (is_one_of(command, {"linux", "linux16", "linuxefi"}) && words.size() > 1) {
      if (entry) break;  // the next one
      entry.emplace();
      entry->kernel = without_device(words[1]);
      add_options(entry->options, words.begin() + 2, words.end());
    } else if (is_one_of(command, {"initrd", "initrd16", "initrdefi"}) && entry) {
      add_initrds(entry->initrds, words.begin() + 1, words.end());
      break;
    } else if (command == "}" && entry) {
      break;  // an entry without an initrd
    }
  }
  return entry;
}

std::optional<BootEntry> loader_entry(std::string_view text) {
  BootEntry entry;
  while (!text.empty()) {
    const Words words = blank_separated(take_line(text));
    if (words.size() < 2) continue;
    if (words[0] == "linux") {
      entry.kernel = words[1];
    } else if (words[0] == "initrd") {
      add_initrds(entry.initrds, words.begin() + 1, words.end());
    } else if (words[0] == "options") {
      add_options(entry.options, words.begin() + 1, words.end());
    }
  }
  if (entry.kernel.empty()) return std::nullopt;
  return entry;
}

bool is_newer_entry(const std::string& a, const std::string& b) noexcept {
  if (is_rescue(a) != is_rescue(b)) return is_rescue(b);
  return ::strverscmp(a.c_str(), b.c_str()) > 0;
}

}  // namespace patchbay::tools::disk_boot
