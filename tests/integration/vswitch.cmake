# TAP interfaces in network namespaces on the real switch, the start of the EAL, and devices of DPDK.
find_package(GTest REQUIRED)
include(GoogleTest)

add_executable(vswitch_tap_test vswitch/network_namespace.cpp vswitch/tap_test.cpp)
target_link_libraries(vswitch_tap_test PRIVATE patchbay_options patchbay_vswitch GTest::gmock GTest::gtest_main)
gtest_discover_tests(vswitch_tap_test TEST_PREFIX "vswitch_tap_test." PROPERTIES LABELS integration TIMEOUT 120)

add_executable(vswitch_eal_test vswitch/eal_test.cpp)
target_link_libraries(vswitch_eal_test PRIVATE patchbay_options patchbay_vswitch GTest::gmock GTest::gtest_main)
gtest_discover_tests(vswitch_eal_test TEST_PREFIX "vswitch_eal_test." PROPERTIES LABELS integration TIMEOUT 60)

add_executable(vswitch_ethdev_test vswitch/ethdev_test.cpp)
target_link_libraries(vswitch_ethdev_test PRIVATE patchbay_options patchbay_vswitch GTest::gmock GTest::gtest_main)
gtest_discover_tests(vswitch_ethdev_test TEST_PREFIX "vswitch_ethdev_test." PROPERTIES LABELS integration TIMEOUT 60)
