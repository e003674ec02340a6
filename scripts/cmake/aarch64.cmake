# Cross builds for 64-bit ARM, with Debian's package g++-aarch64-linux-gnu; qemu-user runs what they make.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
