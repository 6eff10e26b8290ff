# What tests/bench/ports/measure runs.
add_executable(bridge_ports ports/bridge_ports.cpp)
target_link_libraries(bridge_ports PRIVATE patchbay_options patchbay_net patchbay_vswitch_core)

# What tests/bench/workers/measure runs.
add_executable(bridge_workers workers/bridge_workers.cpp)
target_link_libraries(bridge_workers PRIVATE patchbay_options patchbay_net patchbay_vswitch_core)
