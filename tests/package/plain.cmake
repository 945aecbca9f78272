# No build system at all: two translation units that include every core header, one include path, threads.
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/run_or_fail.cmake")

set(program "${WORK}/plain_consumer")
run("${COMPILER}" -std=c++20 -pthread "-I${SOURCE}/include" "-I${WORK}/every"
  "${CMAKE_CURRENT_LIST_DIR}/consumer/one.cpp" "${CMAKE_CURRENT_LIST_DIR}/consumer/two.cpp" -o "${program}")
run("${program}")
expect_output("one and two agree")
