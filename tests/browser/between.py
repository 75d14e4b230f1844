"""Stands between an open page and its gateway: cuts answers short, holds them, gives others, counts what is asked."""

import json

from selenium.webdriver import Chrome

STAND = """
    const real = window.fetch;
    window.between = { asked: [], rules: {}, held: [] };
    window.fetch = async (url, options) => {
      between.asked.push(String(url));
      const rule = Object.entries(between.rules).find(([end]) => String(url).endsWith(end));
      return rule ? rule[1](() => real(url, options)) : real(url, options);
    };
"""
CUT = """async (ask) => {
    const { status, headers } = await ask();
    const body = new ReadableStream({ start: (answer) => answer.error(new TypeError("cut short")) });
    return new Response(body, { status, headers });
}"""
HOLD = "async (ask) => { await new Promise((go) => between.held.push(go)); return ask(); }"
LOSE = "async () => { throw new TypeError('nobody answers'); }"


class Between:
    """What a rule says holds for calls whose address ends so, on this page and after each reload."""

    def __init__(self, browser: Chrome) -> None:
        self.browser = browser
        self._run(STAND)

    def cut(self, end: str) -> None:
        """The answer's head comes, its body breaks off."""
        self._rule(end, CUT)

    def lose(self, end: str) -> None:
        """No answer comes."""
        self._rule(end, LOSE)

    def hold(self, end: str) -> None:
        """Nothing is sent before `let_go`."""
        self._rule(end, HOLD)

    def answer(self, end: str, status: int, document: object) -> None:
        """This instead of what the gateway would say."""
        self._rule(end, f"async () => Response.json({json.dumps(document)}, {{ status: {status} }})")

    def change(self, end: str, change: str) -> None:
        """The gateway's answer after this has been done to `told`, a JSON document."""
        self._rule(
            end, f"async (ask) => {{ const told = await (await ask()).json(); {change}; return Response.json(told); }}"
        )

    def let_go(self) -> None:
        """From now on everything passes, what was held first."""
        self.browser.execute_script("between.rules = {}; for (const go of between.held.splice(0)) go();")

    def held(self) -> int:
        """How many calls wait for `let_go`."""
        return int(self.browser.execute_script("return between.held.length"))

    def asked(self, end: str) -> int:
        """How many calls there were to addresses that end so."""
        script = "return between.asked.filter((url) => url.endsWith(arguments[0])).length"
        return int(self.browser.execute_script(script, end))

    def _rule(self, end: str, rule: str) -> None:
        self._run(f"between.rules[{json.dumps(end)}] = {rule};")

    def _run(self, script: str) -> None:
        self.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        self.browser.execute_script(script)
