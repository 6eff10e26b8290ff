# What tests/bench/peers/run starts.
add_executable(vhost_switch peers/bare_loop.cpp peers/vhost_switch.cpp)
find_package(fmt REQUIRED)
target_link_libraries(vhost_switch PRIVATE patchbay_options patchbay_vhost_user patchbay_vswitch_core fmt::fmt)

# The guest for many flows and addresses.
add_executable(loop_guest peers/loop_guest.cpp)
target_link_libraries(loop_guest PRIVATE patchbay_options patchbay_dpdk)
