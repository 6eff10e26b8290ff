# The router appliance as a guest: its ring code against the VMM's, and whole virtual machines on real KVM.
find_package(GTest REQUIRED)

set(router_tests "${CMAKE_CURRENT_LIST_DIR}/router")
set(router_guest "${PROJECT_SOURCE_DIR}/appliances/router/guest")

add_executable(router_guest_ring_test "${router_tests}/guest_ring_test.cpp" "${router_guest}/split_ring.cpp")
target_link_libraries(router_guest_ring_test PRIVATE patchbay_options patchbay_virtio GTest::gmock GTest::gtest_main)
add_test(NAME router_guest_ring_test COMMAND router_guest_ring_test)
set_tests_properties(router_guest_ring_test PROPERTIES LABELS integration TIMEOUT 60)
