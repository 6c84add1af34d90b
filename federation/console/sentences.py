"""What an entry says, in Chinese; the English sentences stand in `federation/audit/records.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from federation.audit.reading.records import utc
from federation.console.phrases import PHRASES
from protocols.assessment import refusals
from protocols.transparency.leaves import LeafCommitment

Values = Mapping[str, str | int]
_SHOWN: Final = 12


def _hash(values: Values, name: str) -> str:
    return str(values.get(name, "未知"))[:_SHOWN]


def _name(group: str, code: str, none: str) -> str:
    found = PHRASES.get(f"{group}.{code}")
    return found[1] if found else code or none


def _code(values: Values) -> str:
    code = str(values.get("code", ""))
    meaning = _name("ground", code, "") if f"ground.{code}" in PHRASES else _name("reason", code, "")
    meaning = refusals.chinese(code).rstrip("。") if meaning == code else meaning
    return f"{code}，{meaning}" if meaning else code or "无代码"


def _request(leaf: LeafCommitment, values: Values) -> str:
    many = values.get("enterprises")
    whom = "一家企业" if many is None else f" {many} 家企业"
    why = f"用途：{_name('purpose', leaf.purpose, '未注明')}，模型 {_hash(values, 'model_hash')}"
    again = f"，异议 {_hash(values, 'objection')} 之后重新评估" if "objection" in values else ""
    return f"{leaf.actor} 就{whom}向 {values.get('nodes', '?')} 个节点提问，{why}{again}"


def _release(leaf: LeafCommitment, values: Values) -> str:
    return f"{leaf.actor} 依策略 {_hash(values, 'policy_hash')} 放行其掩码份额"


def _deny(leaf: LeafCommitment, values: Values) -> str:
    return f"{leaf.actor} 拒绝（{_code(values)}），策略 {_hash(values, 'policy_hash')}"


def _result(leaf: LeafCommitment, values: Values) -> str:
    return f"{leaf.actor} 将全部份额合并为 {_hash(values, 'ciphertext_hash')} 交给银行"


def _ack(leaf: LeafCommitment, values: Values) -> str:
    return f"{leaf.actor} 结束查询：{_name('decision', str(values.get('decision', '')), '未注明')}"


def _train_step(leaf: LeafCommitment, values: Values) -> str:
    return (
        f"{leaf.actor} 在 {values.get('bank', '某银行')} 的训练中发送 {values.get('step', '消息')}，"
        f"{values.get('bytes', '?')} 字节，泄露级别 {_name('leak', str(values.get('leak_class', '')), '未知')}"
    )


def _key(leaf: LeafCommitment, values: Values) -> str:
    return (
        f"{leaf.actor} 作为{_name('role', str(values.get('role', '')), '参与方')}的密钥为 {_hash(values, 'key_hash')}"
    )


def _policy(leaf: LeafCommitment, values: Values) -> str:
    return f"{leaf.actor} 执行策略 {_hash(values, 'policy_hash')}"


def _manifest(leaf: LeafCommitment, values: Values) -> str:
    return f"{leaf.actor} 传递 {values.get('bank', '某银行')} 模型的 {values.get('step', '清单')}"


def _consent(leaf: LeafCommitment, values: Values) -> str:
    until = utc(int(values["valid_until_ms"])) if "valid_until_ms" in values else "未注明"
    return (
        f"{leaf.actor} 首次出示 {values.get('issuer', '某机构')} 签发的授权 {_hash(values, 'consent_hash')}，"
        f"用途：{_name('purpose', leaf.purpose, '未注明')}，有效期至 {until}"
    )


def _revoke(leaf: LeafCommitment, values: Values) -> str:
    return f"{values.get('issuer', '某机构')} 告知 {leaf.actor}：授权 {_hash(values, 'consent_hash')} 已撤销"


def _view(leaf: LeafCommitment, values: Values) -> str:
    return f"{leaf.actor} 查看了日志中的 {values.get('entries', '若干')} 条记录（{values.get('view', '页面')}）"


def _objection(leaf: LeafCommitment, values: Values) -> str:
    about = f"（查询 {_hash(values, 'entry')}）" if "entry" in values else ""
    return f"{leaf.actor} 对 {values.get('node', '某节点')} 的记录提出异议{about}：{_code(values)}"


def _decision(leaf: LeafCommitment, values: Values) -> str:
    return (
        f"{leaf.actor} 就异议作出决定：{_name('decision', str(values.get('decision', '')), '未注明')}，{_code(values)}"
    )


def _shred(leaf: LeafCommitment, values: Values) -> str:
    what = f"{values['before_year']} 年以前各年" if "before_year" in values else "一家企业（一个标签）"
    return f"{leaf.actor} 永久销毁了{what}密封内容的密钥"


CHINESE: Final[Mapping[str, Callable[[LeafCommitment, Values], str]]] = {
    "REQUEST": _request,
    "RELEASE": _release,
    "DENY": _deny,
    "RESULT": _result,
    "ACK": _ack,
    "TRAIN_STEP": _train_step,
    "KEY": _key,
    "POLICY": _policy,
    "MANIFEST": _manifest,
    "CONSENT": _consent,
    "REVOKE": _revoke,
    "OBJECTION": _objection,
    "DECISION": _decision,
    "AUDIT_VIEW": _view,
    "SHRED": _shred,
}
"""By kind; a kind that has no sentence here is told in English."""
