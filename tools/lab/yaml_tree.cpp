#include "tools/lab/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <exception>
#include <istream>
#include <streambuf>
#include <unordered_map>
#include <utility>

#include "tools/lab/text_check.h"

namespace patchbay::tools {
namespace {

// Thrown through yaml-cpp to stop reading; carries the diagnostic.
struct Refused : std::exception {
  Refused(Position where, std::string what_is_wrong, std::string what_is_right)
      : at(where), message(std::move(what_is_wrong)), hint(std::move(what_is_right)) {}
  [[nodiscard]] const char* what() const noexcept override { return message.c_str(); }
  Position at;
  std::string message;
  std::string hint;
};

Position position_of(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {static_cast<std::size_t>(mark.line) + 1, static_cast<std::size_t>(mark.column) + 1};
}

std::size_t count_values(const YamlNode& node) {
  std::size_t count = 1;
  for (const YamlNode& item : node.items)
    count += count_values(item);
  for (const YamlEntry& entry : node.entries)
    count += count_values(entry.value);
  return count;
}

std::size_t depth_of(const YamlNode& node) {
  std::size_t deepest = 0;
  for (const YamlNode& item : node.items)
    deepest = std::max(deepest, depth_of(item));
  for (const YamlEntry& entry : node.entries)
    deepest = std::max(deepest, depth_of(entry.value));
  return deepest + 1;
}

// Builds the tree from yaml-cpp's events. The open containers form a stack; a value is attached to the top
// one when it is complete.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    YamlNode node;
    node.at = position_of(mark);
    complete(std::move(node), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node;
    node.kind = YamlNode::Kind::scalar;
    node.at = position_of(mark);
    node.text = value;
    node.quoted = tag == "!";
    if (value.find('\0') != std::string::npos)
      throw Refused(node.at, "the text holds a NUL character", "remove it");
    complete(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::sequence, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::map, mark, anchor);
  }
  void OnMapEnd() override { close(); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    const Position at = position_of(mark);
    if (found == anchors_.end())
      throw Refused(at, "the alias lies inside the value that it stands for", "write the value out");
    const YamlNode& original = found->second;
    if (stack_.size() + depth_of(original) > kMaxDepth) too_deep(at);
    count(count_values(original), at);
    YamlNode copy = original;
    copy.at = at;
    attach(std::move(copy));
  }

  [[nodiscard]] YamlNode take_root() { return std::move(root_); }

 private:
  struct Open {
    YamlNode node;
    YAML::anchor_t anchor = 0;
    std::optional<YamlNode> key;                             // of a map: seen, and its value not yet
    std::unordered_map<std::string, std::size_t> key_index;  // of a map: position in node.entries
    std::vector<YamlNode> merged;                            // values of `<<`
  };

  [[noreturn]] static void too_deep(Position at) {
    throw Refused(at, fmt::format("values are nested more than {} deep", kMaxDepth),
                  "a lab file needs fewer than ten levels");
  }

  void count(std::size_t values, Position at) {
    values_ += values;
    if (values_ > kMaxValues) {
      throw Refused(at,
                    fmt::format("the file, with its aliases expanded, has more than {} values", kMaxValues),
                    "split the lab or write less with aliases");
    }
  }

  void open(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (stack_.size() >= kMaxDepth) too_deep(position_of(mark));
    Open container;
    container.node.kind = kind;
    container.node.at = position_of(mark);
    container.anchor = anchor;
    stack_.push_back(std::move(container));
  }

  void close() {
    Open container = std::move(stack_.back());
    stack_.pop_back();
    for (const YamlNode& source : container.merged)
      merge(container, source);
    complete(std::move(container.node), container.anchor);
  }

  void complete(YamlNode node, YAML::anchor_t anchor) {
    count(1, node.at);
    if (anchor != 0) anchors_[anchor] = node;
    attach(std::move(node));
  }

  void attach(YamlNode node) {
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = stack_.back();
    if (parent.node.kind == YamlNode::Kind::sequence) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.key) {
      if (node.kind == YamlNode::Kind::sequence || node.kind == YamlNode::Kind::map) {
        throw Refused(node.at, fmt::format("{} is not a key", describe(node.kind)),
                      "a key is a word; quote text that holds { or [");
      }
      parent.key = std::move(node);
    } else {
      const YamlNode key = *std::exchange(parent.key, std::nullopt);
      add_entry(parent, key, std::move(node));
    }
  }

  void add_entry(Open& parent, const YamlNode& key, YamlNode value) {
    if (key.text == "<<" && !key.quoted) {
      parent.merged.push_back(std::move(value));
      return;
    }
    const std::string& name = key.text;
    const auto [known, is_new] = parent.key_index.emplace(name, parent.node.entries.size());
    if (is_new) {
      parent.node.entries.push_back({name, key.at, std::move(value)});
      return;
    }
    const Position first = parent.node.entries[known->second].at;
    diagnostics_.error(key.at,
                       fmt::format("the key '{}' appears twice; the first is on line {}", name, first.line),
                       "remove one of them", std::max<std::size_t>(name.size(), 1));
  }

  // https://yaml.org/type/merge.html: keys that the map has itself win; of several maps, the earlier.
  void merge(Open& container, const YamlNode& source) {
    if (source.kind == YamlNode::Kind::sequence) {
      for (const YamlNode& item : source.items)
        merge_map(container, item);
    } else {
      merge_map(container, source);
    }
  }

  void merge_map(Open& container, const YamlNode& source) {
    if (source.kind != YamlNode::Kind::map) {
      throw Refused(source.at, fmt::format("'<<' merges {}", describe(source.kind)),
                    "give it an alias of a map, such as *base");
    }
    for (const YamlEntry& entry : source.entries) {
      if (!container.key_index.emplace(entry.key, container.node.entries.size()).second) continue;
      count(count_values(entry.value), source.at);
      container.node.entries.push_back(entry);
    }
  }

  Diagnostics& diagnostics_;
  std::vector<Open> stack_;
  std::unordered_map<YAML::anchor_t, YamlNode> anchors_;
  YamlNode root_;
  std::size_t values_ = 0;
};

// Lets yaml-cpp read the text in place.
class TextBuffer final : public std::streambuf {
 public:
  explicit TextBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // NOLINT(cppcoreguidelines-pro-type-const-cast): read only
    setg(begin, begin, begin + text.size());
  }
};

std::string hint_for(const std::string& message) {
  if (message.find("tab") != std::string::npos) return "indent with spaces";
  if (message.find("end of sequence") != std::string::npos ||
      message.find("end of map") != std::string::npos) {
    return "check the indentation, the brackets and the quotes up to here";
  }
  if (message.find("illegal map value") != std::string::npos) return "text that holds ': ' needs quotes";
  return "check the indentation, the brackets and the quotes near here";
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const YamlEntry& e) { return e.key == key; });
  return found == entries.end() ? nullptr : &found->value;
}

std::string_view describe(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::null:
      return "nothing";
    case YamlNode::Kind::scalar:
      return "text";
    case YamlNode::Kind::sequence:
      return "a list";
    case YamlNode::Kind::map:
      return "a map";
  }
  return "nothing";
}

std::optional<YamlNode> read_yaml(std::string_view text, Diagnostics& diagnostics) {
  if (text.size() > kMaxFileBytes) {
    diagnostics.error({}, fmt::format("the file is larger than {} KiB", kMaxFileBytes / 1024),
                      "a lab file is text that lists nodes and links");
    return std::nullopt;
  }
  if (const auto fault = find_unreadable(text)) {
    diagnostics.error(fault->at, fault->message, fault->hint);
    return std::nullopt;
  }
  TreeBuilder builder(diagnostics);
  try {
    TextBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) {
      diagnostics.error({}, "the file is empty",
                        "a lab has 'name' and 'topology'; examples/two-lans.clab.yml shows one");
      return std::nullopt;
    }
    YamlNode root = builder.take_root();
    Diagnostics ignored(diagnostics.file(), text);
    TreeBuilder second(ignored);
    if (parser.HandleNextDocument(second)) {
      diagnostics.error(second.take_root().at, "a second document starts",
                        "write one lab a file, without '---' in between");
    }
    return root;
  } catch (const Refused& refused) {
    diagnostics.error(refused.at, refused.message, refused.hint);
  } catch (const YAML::Exception& error) {
    diagnostics.error(position_of(error.mark), "this is not YAML: " + error.msg, hint_for(error.msg));
  }
  return std::nullopt;
}

}  // namespace patchbay::tools
