# The moved installation, found by pkg-config, with and without an optional part.
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/run_or_fail.cmake")

find_program(PKG_CONFIG NAMES pkg-config pkgconf REQUIRED)
set(ENV{PKG_CONFIG_PATH} "${WORK}/moved/share/pkgconfig")

run("${PKG_CONFIG}" --modversion paidonce)
expect_output("${VERSION}")

foreach(packages IN ITEMS "paidonce"
    "paidonce|paidonce-money|paidonce-json|paidonce-httplib|paidonce-redis|paidonce-rabbitmq|paidonce-orders|paidonce-orders_sqlite|paidonce-orders_postgres|paidonce-testing")
  string(REPLACE "|" ";" packages "${packages}")
  run("${PKG_CONFIG}" --cflags --libs ${packages})
  separate_arguments(flags UNIX_COMMAND "${output}")
  set(definitions "")
  foreach(package IN LISTS packages)
    string(REPLACE "paidonce-" "-DWITH_" definition "${package}")
    if(NOT definition STREQUAL package)
      list(APPEND definitions "${definition}")
    endif()
  endforeach()
  run("${COMPILER}" -std=c++20 "-I${WORK}/every" ${definitions} "${CMAKE_CURRENT_LIST_DIR}/consumer/one.cpp"
    "${CMAKE_CURRENT_LIST_DIR}/consumer/two.cpp" ${flags} -o "${WORK}/pkg_config_consumer")
  run("${WORK}/pkg_config_consumer")
  expect_output("one and two agree")
endforeach()
