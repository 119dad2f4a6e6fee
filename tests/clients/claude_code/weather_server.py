"""An MCP server with one tool, over standard input and output: what a tool loop of Claude Code calls."""

import json
import sys
from typing import Any

TOOL = {
    "name": "get_weather",
    "description": "Say what the weather is. 查询天气。",
    "inputSchema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Give the result of a call; what is not known has an empty one."""
    if method == "initialize":
        server = {"name": "weather", "version": "1"}
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": server}
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": f"{params['arguments']['city']}: 18 °C"}]}
    return {}


for line in sys.stdin:
    request = json.loads(line)
    if "id" in request:  # notifications have none, and no answer
        result = answer(request["method"], request.get("params") or {})
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)
