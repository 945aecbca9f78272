# cmake -DHOW=subdirectory|fetch|find -DCOMPONENTS=[<name>|...] ... -P consume.cmake
#
# Configures, builds and runs the project in consumer/, which gets the library in the way that HOW names.
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/run_or_fail.cmake")

string(REPLACE "|" "_" name "consumer_${HOW}_${COMPONENTS}")
set(build "${WORK}/${name}")
file(REMOVE_RECURSE "${build}")
set(arguments "-DHOW=${HOW}" "-DCOMPONENTS=${COMPONENTS}" "-DEVERY=${WORK}/every" "-DCMAKE_CXX_COMPILER=${COMPILER}")

if(HOW STREQUAL "subdirectory")
  list(APPEND arguments "-DPAIDONCE_SOURCE=${SOURCE}")
elseif(HOW STREQUAL "fetch")
  # What a release archive holds, at the least.
  set(archive "${build}.tar.gz")
  execute_process(COMMAND "${CMAKE_COMMAND}" -E tar czf "${archive}" CMakeLists.txt LICENSE cmake include
    WORKING_DIRECTORY "${SOURCE}" COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND arguments "-DPAIDONCE_ARCHIVE=${archive}")
elseif(HOW STREQUAL "find")
  list(APPEND arguments "-DCMAKE_PREFIX_PATH=${WORK}/moved" "-DVERSION=${VERSION}")
endif()

run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/consumer" -B "${build}" ${arguments})
run("${CMAKE_COMMAND}" --build "${build}")
run("${build}/consumer")
expect_output("one and two agree")

# Somebody else's project: no test, no program and no installed file of ours in it.
run("${CMAKE_CTEST_COMMAND}" --test-dir "${build}" --show-only=json-v1)
string(JSON tests LENGTH "${output}" tests)
if(NOT tests EQUAL 0)
  message(FATAL_ERROR "tests of ours are in the consumer's list:\n${output}")
endif()
run("${CMAKE_COMMAND}" --install "${build}" --prefix "${build}/installed")
file(GLOB_RECURSE installed "${build}/installed/*")
if(installed)
  message(FATAL_ERROR "installing the consumer installs ${installed}")
endif()
