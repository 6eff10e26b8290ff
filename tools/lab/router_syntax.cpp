#include "tools/lab/router_syntax.h"

#include <algorithm>

#include "appliances/router/core/arena.h"
#include "appliances/router/core/config/config_parser.h"

namespace patchbay::tools {

namespace {

constexpr std::size_t kArenaBytes = 4 << 20;

class Collector final : public router::ConfigErrorSink {
 public:
  void report(const router::ConfigError& error) override {
    errors.push_back({.at = {error.line, error.column},
                      .message = std::string(error.problem.view()),
                      .hint = std::string(error.remedy.view()),
                      .marked_bytes = std::max<std::size_t>(1, error.word.view().size())});
  }
  std::vector<RouterSyntaxError> errors;
};

}  // namespace

std::vector<RouterSyntaxError> find_router_syntax_errors(const Node& router, std::string_view text) {
  std::vector<router::InterfaceConfig> interfaces;
  for (const Interface& interface : router.interfaces) {
    interfaces.push_back({.name = interface.name, .mac = router::MacAddress{interface.mac}, .mtu = interface.mtu});
  }
  std::vector<std::byte> region(kArenaBytes);
  router::Arena arena(region);
  Collector collector;
  router::validate_config(text, interfaces, arena, collector);
  return std::move(collector.errors);
}

}  // namespace patchbay::tools
