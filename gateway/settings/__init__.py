"""The configuration: `thalamus.yaml` and the environment in, one frozen checked value out."""

from gateway.settings.load import SettingsError, SettingsSource, load_settings, written_form
from gateway.settings.model import (
    AbilitiesSettings,
    AnswerCheckSettings,
    BackendSettings,
    CascadeSettings,
    KeySettings,
    LimitSettings,
    PriceSettings,
    ReasoningSettings,
    ServerSettings,
    Settings,
    TargetSettings,
    TelemetrySettings,
    TimeoutSettings,
    Transport,
)

__all__ = [
    "AbilitiesSettings",
    "AnswerCheckSettings",
    "BackendSettings",
    "CascadeSettings",
    "KeySettings",
    "LimitSettings",
    "PriceSettings",
    "ReasoningSettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "SettingsSource",
    "TargetSettings",
    "TelemetrySettings",
    "TimeoutSettings",
    "Transport",
    "load_settings",
    "written_form",
]
