#include "tools/lab/node_settings.h"

#include <fmt/format.h>

#include <utility>

#include "tools/lab/quantity.h"

namespace patchbay::tools {
namespace {

constexpr std::int64_t kMaxCpus = 64;
constexpr std::uint64_t kMinMemory = std::uint64_t{4} << 20U;

template <class T>
Setting<T> located(const YamlNode& node, std::optional<T> value) {
  if (!value) return std::nullopt;
  return Located<T>{std::move(*value), node.at};
}

Parsed<std::uint64_t> parse_memory(std::string_view text) {
  Parsed<std::uint64_t> size = parse_size(text);
  if (const auto* bytes = std::get_if<std::uint64_t>(&size); bytes != nullptr && *bytes < kMinMemory) {
    return Fault{fmt::format("{} is too little memory", text), "give a node at least 4MiB"};
  }
  return size;
}

Parsed<VmEngine> parse_engine(std::string_view text) {
  for (const VmEngine known : {VmEngine::automatic, VmEngine::kvm, VmEngine::qemu})
    if (text == to_string(known)) return known;
  return Fault{fmt::format("'{}' is no engine", text), "write auto, kvm or qemu"};
}

// containerlab takes Docker's forms: ["CMD", program, arguments...], ["CMD-SHELL", command line], or text.
std::vector<std::string> read_test(const YamlNode& node, Reader& reader) {
  if (node.kind == YamlNode::Kind::scalar) {
    const auto command = reader.text(node, "test");
    if (!command) return {};
    return {"sh", "-c", *command};
  }
  if (node.kind != YamlNode::Kind::sequence) {
    reader.error(node, fmt::format("test must be a command, this is {}", describe(node.kind)),
                 "write [CMD, program, argument] or [CMD-SHELL, \"command line\"]");
    return {};
  }
  std::vector<std::string> words;
  for (Located<std::string>& word : reader.text_list(node, "test"))
    words.push_back(std::move(word.value));
  if (words.size() != node.items.size()) return {};
  if (words.size() >= 2 && words.front() == "CMD") return {words.begin() + 1, words.end()};
  if (words.size() == 2 && words.front() == "CMD-SHELL") return {"sh", "-c", words.back()};
  reader.error(node, "test must start with CMD or CMD-SHELL and name a command",
               "write [CMD, program, argument] or [CMD-SHELL, \"command line\"]");
  return {};
}

std::optional<HealthCheck> read_healthcheck(const YamlNode& node, Reader& reader) {
  if (!reader.map(node, "a healthcheck", healthcheck_keys())) return std::nullopt;
  HealthCheck check;
  check.at = node.at;
  const auto duration = [&](std::string_view key, std::chrono::microseconds& field) {
    if (const YamlNode* value = node.find(key))
      field = reader.value(*value, key, parse_seconds).value_or(field);
  };
  duration("start-period", check.start_period);
  duration("interval", check.interval);
  duration("timeout", check.timeout);
  if (const YamlNode* retries = node.find("retries")) {
    check.retries =
        static_cast<unsigned>(reader.integer(*retries, "retries", 1, 1000).value_or(check.retries));
  }
  const YamlNode* test = node.find("test");
  if (test == nullptr) {
    reader.error(node, "the healthcheck has no test", "write test: [CMD, program, argument]");
    return std::nullopt;
  }
  check.command = read_test(*test, reader);
  if (check.command.empty()) return std::nullopt;
  return check;
}

void read_extension(const YamlNode& config, const std::string& what, Reader& reader, NodeSettings& settings) {
  if (!reader.map(config, "config", config_keys())) return;
  const YamlNode* vars = config.find("vars");
  if (vars == nullptr || !reader.map(*vars, "vars")) return;
  const YamlNode* patchbay = vars->find("patchbay");
  if (patchbay == nullptr || !reader.map(*patchbay, what + ", patchbay", node_extension_keys())) return;
  settings.checks = patchbay->find("checks");
  if (const YamlNode* kernel = patchbay->find("kernel"))
    settings.kernel = located(*kernel, reader.text(*kernel, "kernel"));
  if (const YamlNode* initrd = patchbay->find("initrd"))
    settings.initrd = located(*initrd, reader.text(*initrd, "initrd"));
  if (const YamlNode* timeout = patchbay->find("boot-timeout"))
    settings.boot_timeout = located(*timeout, reader.value(*timeout, "boot-timeout", parse_seconds));
  if (const YamlNode* engine = patchbay->find("engine"))
    settings.engine = located(*engine, reader.value(*engine, "engine", parse_engine));
  if (const YamlNode* devargs = patchbay->find("devargs"))
    settings.devargs = located(*devargs, reader.text(*devargs, "devargs"));
}

}  // namespace

NodeSettings read_node_settings(const YamlNode& node, const std::string& what, Reader& reader) {
  NodeSettings settings;
  if (node.kind == YamlNode::Kind::null) return settings;  // "h1:" with nothing after it
  if (!reader.map(node, what, node_keys())) return settings;

  const auto text = [&](std::string_view key, Setting<std::string>& field) {
    if (const YamlNode* value = node.find(key)) field = located(*value, reader.text(*value, key));
  };
  text("kind", settings.kind);
  text("group", settings.group);
  text("type", settings.type);
  text("image", settings.image);
  text("cmd", settings.cmd);
  text("startup-config", settings.startup_config);
  if (const YamlNode* cpu = node.find("cpu")) {
    if (const auto count = reader.integer(*cpu, "cpu", 1, kMaxCpus)) {
      settings.cpu = Located<unsigned>{static_cast<unsigned>(*count), cpu->at};
    }
  }
  if (const YamlNode* memory = node.find("memory")) {
    settings.memory_bytes = located(*memory, reader.value(*memory, "memory", parse_memory));
  }
  if (const YamlNode* check = node.find("healthcheck")) {
    settings.healthcheck = located(*check, read_healthcheck(*check, reader));
  }
  if (const YamlNode* exec = node.find("exec")) settings.exec = reader.text_list(*exec, "exec");
  if (const YamlNode* binds = node.find("binds")) settings.binds = reader.text_list(*binds, "binds");
  if (const YamlNode* env = node.find("env")) settings.env = reader.text_map(*env, "env");
  if (const YamlNode* labels = node.find("labels")) settings.labels = reader.text_map(*labels, "labels");
  if (const YamlNode* config = node.find("config")) read_extension(*config, what, reader, settings);
  return settings;
}

void inherit(NodeSettings& settings, const NodeSettings& from) {
  const auto scalar = [](auto& field, const auto& base) {
    if (!field) field = base;
  };
  scalar(settings.kind, from.kind);
  scalar(settings.group, from.group);
  scalar(settings.type, from.type);
  scalar(settings.image, from.image);
  scalar(settings.cmd, from.cmd);
  scalar(settings.kernel, from.kernel);
  scalar(settings.initrd, from.initrd);
  scalar(settings.boot_timeout, from.boot_timeout);
  scalar(settings.engine, from.engine);
  scalar(settings.devargs, from.devargs);
  scalar(settings.startup_config, from.startup_config);
  scalar(settings.cpu, from.cpu);
  scalar(settings.memory_bytes, from.memory_bytes);
  scalar(settings.healthcheck, from.healthcheck);
  settings.exec.insert(settings.exec.end(), from.exec.begin(), from.exec.end());
  settings.binds.insert(settings.binds.end(), from.binds.begin(), from.binds.end());
  settings.env.insert(from.env.begin(), from.env.end());
  settings.labels.insert(from.labels.begin(), from.labels.end());
}

}  // namespace patchbay::tools
