"""Logging in, and setting an account up."""

from __future__ import annotations

from typing import Final

ENTERING: Final = {
    "login.title": ("Log in", "登录"),
    "login.name": ("Name", "用户名"),
    "login.password": ("Password", "密码"),
    "login.enter": ("Log in", "登录"),
    "login.wrong": ("Name and password do not belong together.", "用户名与密码不匹配。"),
    "login.wait": ("Too many tries. Try again in {minutes} min.", "尝试次数过多，请在 {minutes} 分钟后再试。"),
    "login.have_token": ("First time here? Set up your account", "首次使用？设置您的账户"),
    "login.ready": ("Your password is set. Log in with it.", "密码已设置，请登录。"),
    "setup.title": ("Set up your account", "设置账户"),
    "setup.lead": (
        "You were given a name and a token that works once, within 24 hours.",
        "您应已收到用户名和一次性令牌，令牌 24 小时内有效。",
    ),
    "setup.token": ("Token", "令牌"),
    "setup.password": ("New password, 12 characters or more", "新密码，至少 12 个字符"),
    "setup.again": ("The same again", "再次输入"),
    "setup.enter": ("Set password", "设置密码"),
    "setup.short": ("A password has 12 to 256 characters.", "密码须为 12 至 256 个字符。"),
    "setup.differ": ("The two passwords differ.", "两次输入的密码不一致。"),
    "setup.wrong": (
        "This name and token do not belong together, or the token is used or too old.",
        "用户名与令牌不匹配，或令牌已使用、已过期。",
    ),
    "setup.back": ("Back to log in", "返回登录"),
}
