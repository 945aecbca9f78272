# What find_package of the moved installation says when it cannot give what is asked.
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/run_or_fail.cmake")

# expect_failure(<name> <arguments of find_package> <definition>... SAYS <text>...)
function(expect_failure name request)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "SAYS")
  set(build "${WORK}/not_found_${name}")
  file(REMOVE_RECURSE "${build}")
  execute_process(COMMAND "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/not_found" -B "${build}"
    "-DREQUEST=${request}" "-DCMAKE_PREFIX_PATH=${WORK}/moved" "-DCMAKE_CXX_COMPILER=${COMPILER}"
    ${arg_UNPARSED_ARGUMENTS} RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT arg_SAYS)
    if(NOT status EQUAL 0)
      message(FATAL_ERROR "find_package(paidonce ${request}) fails:\n${text}")
    endif()
    return()
  endif()
  if(status EQUAL 0)
    message(FATAL_ERROR "find_package(paidonce ${request}) succeeds and should not")
  endif()
  string(REGEX REPLACE "[ \n]+" " " text "${text}")
  foreach(part IN LISTS arg_SAYS)
    string(FIND "${text}" "${part}" position)
    if(position EQUAL -1)
      message(FATAL_ERROR "find_package(paidonce ${request}) does not say \"${part}\", but:\n${text}")
    endif()
  endforeach()
endfunction()

set(without_boost -DCMAKE_DISABLE_FIND_PACKAGE_Boost=ON)
set(without_json -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON)

expect_failure(money "REQUIRED|COMPONENTS|money" ${without_boost}
  SAYS "libboost-dev" "vcpkg: the feature \"money\"" "with_money=True" "Boost_ROOT")
expect_failure(json "REQUIRED|COMPONENTS|json" ${without_json}
  SAYS "nlohmann-json3-dev" "vcpkg: the feature \"json\"" "with_json=True" "nlohmann_json_ROOT")
expect_failure(unknown "REQUIRED|COMPONENTS|monney"
  SAYS "no component \"monney\"" "core, money, json, testing")
expect_failure(newer "0.2|REQUIRED" SAYS "0.1.0")

# And what works: the core without anything, an optional component that is missing, an older patch of the same minor.
expect_failure(core "REQUIRED" ${without_boost} ${without_json})
expect_failure(core_by_name "REQUIRED|COMPONENTS|core" ${without_boost} ${without_json})
expect_failure(optional "REQUIRED|OPTIONAL_COMPONENTS|money" ${without_boost})
expect_failure(same_minor "0.1|REQUIRED")
