# paidonce_find_dependencies(<component> <variable> [GLOBAL])
#
# Searches what the component needs from others. The variable becomes empty, or a sentence that says what is
# missing and how to get it. Used by the build (where what is
# found must be visible to the whole project: GLOBAL) and by the installed package alike.
function(paidonce_find_dependencies component problem)
  set(${problem} "" PARENT_SCOPE)

  if(component STREQUAL "core")
    if(NOT TARGET Threads::Threads)
      set(THREADS_PREFER_PTHREAD_FLAG ON)
      find_package(Threads QUIET ${ARGN})
    endif()
    if(NOT TARGET Threads::Threads)
      set(${problem} "paidonce needs threads, and CMake's FindThreads finds none for this compiler." PARENT_SCOPE)
    endif()

  elseif(component STREQUAL "money")
    if(NOT TARGET Boost::headers)
      find_package(Boost 1.74 QUIET ${ARGN})
    endif()
    if(NOT TARGET Boost::headers)
      set(${problem} "paidonce's component money needs the headers of Boost 1.74 or newer (Boost.Multiprecision). \
Any of these brings them: the Debian package libboost-dev (apt-get install libboost-dev); vcpkg: the feature \
\"money\" of the port paidonce, or the port boost-multiprecision; Conan: the option paidonce/*:with_money=True, \
or the package boost; or set Boost_ROOT to where Boost is." PARENT_SCOPE)
    endif()

  elseif(component STREQUAL "json")
    if(NOT TARGET nlohmann_json::nlohmann_json)
      find_package(nlohmann_json 3.9 QUIET ${ARGN})
    endif()
    if(NOT TARGET nlohmann_json::nlohmann_json)
      set(${problem} "paidonce's component json needs nlohmann-json 3.9 or newer. Any of these brings it: the Debian \
package nlohmann-json3-dev (apt-get install nlohmann-json3-dev); vcpkg: the feature \"json\" of the port paidonce, \
or the port nlohmann-json; Conan: the option paidonce/*:with_json=True, or the package nlohmann_json; or set \
nlohmann_json_ROOT to where it is." PARENT_SCOPE)
    endif()
  endif()
endfunction()
