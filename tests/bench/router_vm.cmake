# The router appliance as a virtual machine; needs /dev/kvm.
if(TARGET router_guest)
  patchbay_benchmark(router_vm_bench router_vm.cpp ../integration/router/frames.cpp ../integration/router/router_vm.cpp
                     LINK patchbay_vmm patchbay_net patchbay_vswitch_core)
  target_compile_definitions(router_vm_bench PRIVATE PATCHBAY_ROUTER_ELF="$<TARGET_FILE:router_guest>")
  add_dependencies(router_vm_bench router_guest)
endif()
