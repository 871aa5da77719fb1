# The end of what action_plugins/orion_run.py sends to a node: above it stand SOURCES, [(name, source)] in the order in which they need
# each other, and ARGS. The last one is the program. Python's standard library is all that it finds there.
import json
import sys

for name, source in SOURCES:  # noqa: F821
    module = sys.modules[name] = type(sys)(name)
    exec(compile(source, name + '.py', 'exec'), module.__dict__)
print(json.dumps(module.main(ARGS)))  # noqa: F821
