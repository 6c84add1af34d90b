"""What the code of a refused or failed assessment means, in words, for every page that shows one."""

from __future__ import annotations

from typing import Final

_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "CONSENT_MISSING": ("The enterprise has not authorised this bank.", "企业尚未授权本银行查询。"),
    "CONSENT_EXPIRED": ("The enterprise's authorisation does not hold at this time.", "企业的授权目前不在有效期内。"),
    "CONSENT_SCOPE": (
        "The enterprise's authorisation is for another bank, purpose or set of offices.",
        "企业的授权针对其他银行、用途或数据单位。",
    ),
    "CONSENT_INVALID": ("The authorisation shown is not a valid one.", "所出示的授权无效。"),
    "CONSENT_REVOKED": ("The enterprise has withdrawn its authorisation.", "企业已撤回授权。"),
    "CONSENT_KEY": ("The authorisation is bound to another key of the bank.", "授权绑定的是本银行的另一密钥。"),
    "CONSENT_MISMATCH": (
        "What the coordinator was shown is not this authorisation.",
        "向协调方出示的凭据与该授权不符。",
    ),
    "CONSENT_NOT_YET_VALID": ("The enterprise's authorisation does not hold yet.", "企业的授权尚未生效。"),
    "CONSENT_OVERUSED": ("The authorisation has served all its uses.", "该授权的使用次数已用完。"),
    "CONSENT_TOO_BROAD": ("The authorisation is wider than a data owner accepts.", "授权范围超出数据单位的许可。"),
    "CONSENT_LIST_STALE": (
        "A data owner has no fresh list of withdrawn authorisations, and refuses until it has.",
        "数据单位暂无最新的授权撤回名单，在取得之前拒绝查询。",
    ),
    "NODE_STOPPED": ("A data owner has stopped answering.", "有数据单位已停止应答。"),
    "SUBJECT_QUOTA": ("This enterprise was asked about too often today.", "今日对该企业的查询次数已达上限。"),
    "QUERY_EXPIRED": ("The question reached a data owner too late.", "查询送达数据单位时已过期。"),
    "WRONG_NODE_SET": ("The question names other offices than the model.", "查询所列数据单位与模型不符。"),
    "PURPOSE_DENIED": ("The model does not serve this purpose.", "该模型不用于此用途。"),
    "NODE_DENIED": ("A data owner's own policy refused.", "数据单位自身的规则拒绝了查询。"),
    "NODE_SET_LOCKED": (
        "Another set of offices was asked about this enterprise in the same period.",
        "同一时期内已就该企业询问过另一组数据单位。",
    ),
    "NODE_MISSING": (
        "A data owner did not answer; without all of them there is no score.",
        "有数据单位未答复，缺一不可评分。",
    ),
    "QUOTA": ("A data owner's quota for this bank is spent.", "数据单位给予本银行的查询额度已用完。"),
    "LEAK_BUDGET": ("A data owner's disclosure budget for this bank is spent.", "数据单位给予本银行的披露额度已用完。"),
    "INSUFFICIENT_COVERAGE": ("Too few offices hold records of this enterprise.", "掌握该企业记录的数据单位过少。"),
    "WRONG_PRODUCT": (
        "The answers did not add up as signed, and were discarded.",
        "各方答复与其签名不符，结果已作废。",
    ),
    "RESULT_OUT_OF_RANGE": ("The answer was outside its range, and was discarded.", "结果超出合理范围，已作废。"),
    "NO_RECEIPT": ("The answer came without the log's receipt, and was discarded.", "答复缺少存证回执，已作废。"),
    "OBJECTION_UNKNOWN": (
        "The question names an objection that is not one of this enterprise's.",
        "查询所引用的异议并非该企业提出。",
    ),
    "WRONG_MODEL": ("A data owner does not serve this model.", "有数据单位不提供该模型的服务。"),
}


def english(code: str) -> str:
    """Return what a code means; nothing for a code that has no text."""
    return _TEXTS.get(code, ("", ""))[0]


def chinese(code: str) -> str:
    """Return what a code means, in Chinese; nothing for a code that has no text."""
    return _TEXTS.get(code, ("", ""))[1]
