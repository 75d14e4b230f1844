"""An answer in words, for a terminal. Knows no transport."""

from serving.client_transport import Prediction

BAR = 24  # characters of a probability of 1
EIGHTHS = " ▏▎▍▌▋▊▉"
# Classes to show where nobody asked for a number.
SHOWN = 3


def in_short(prediction: Prediction) -> str:
    """One line: the class and its probability, or the value, its unit and its interval."""
    if "class_name" in prediction:
        return f"{prediction['class_name']} ({_percent(prediction['probability'])})"
    value = f"{prediction['value']:.3f} × {prediction['unit']}"
    if interval := prediction.get("interval"):
        return f"{value}, with {interval['level']:.0%} confidence {interval['low']:.3f} to {interval['high']:.3f}"
    return value


def in_full(prediction: Prediction, top_k: int | None) -> list[str]:
    """Lines: in short, then the most probable classes with a bar each, the set of classes, and a warning."""
    lines = [in_short(prediction)]
    if "probabilities" in prediction:
        likeliest = sorted(prediction["probabilities"].items(), key=lambda item: -item[1])[: top_k or SHOWN]
        width = max(len(name) for name, _ in likeliest)
        lines += [f"  {name:{width}} {_percent(share):>6} {_bar(share)}".rstrip() for name, share in likeliest]
    if (classes := prediction.get("prediction_set")) and len(classes["class_names"]) != 1:
        named = f"one of: {', '.join(classes['class_names'])}" if classes["class_names"] else "none: it is too unsure"
        lines.append(f"  with {classes['level']:.0%} confidence {named}")
    if prediction.get("in_domain") is False:
        lines.append("  warning: this is unlike the data the model was trained on; do not rely on the answer")
    return lines


def _percent(share: float) -> str:
    """What is neither 0 nor 1 is not shown as either."""
    if 0.9995 <= share < 1:
        return ">99.9%"
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def _bar(share: float) -> str:
    whole, rest = divmod(round(share * BAR * 8), 8)
    return "█" * whole + EIGHTHS[rest].strip()
