"""OpenML's error codes, as a production server words them."""

from __future__ import annotations

from hepml_tasks.errors import ServerError

MESSAGES = {
    100: "Function not valid",
    102: "No authentication (Please provide API key for all requests other than HTTP GET)",
    103: "Authentication failed",
    104: "This is a read-only account, it does not have permission for write operations. ",
    106: "The intended action requires admin rights. ",
    107: (
        "Database connection error. Usually due to high server load. "
        "Please wait for N seconds and try again. "
    ),
    111: "Unknown dataset",
    113: "Could not find data file record",
    130: "Problem with file uploading",
    131: "Problem validating uploaded description file",
    133: "Currently, only arff datasets are supported for upload. ",
    135: "Please provide description xml",
    136: "Failed to register URL (server did not provide neccessary headers)",
    140: "Both dataset file and dataset url provided. Please provide only one",
    141: "Neither dataset file or dataset url are provided",
    143: "Suggested target feature not legal ",
    145: "Error parsing dataset ARFF file",
    151: "Unknown task",
    161: "Please provide description xml",
    163: "Problem validating uploaded description file",
    167: "Illegal files uploaded",
    171: "flow already exists",
    181: "Unknown flow",
    201: "Please provide run xml",
    202: "Could not validate run xml by xsd",
    204: "Unknown task",
    205: "Unknown flow",
    206: "Invalid file type uploaded",
    209: "Error parsing uploaded file. ",
    210: "Unable to store run",
    213: "Parameter in run xml unknown",
    216: (
        "Error processing output data: illegal combination of evaluation measure attributes "
        "(repeat, fold, sample)"
    ),
    217: "Error processing output data: unknown evaluation measure",
    236: "Run not found",
    271: "Unknown dataset",
    281: "Unknown setup",
    322: "flow does not exist",
    323: "flow is not owned by you",
    324: "flow is in use by other content (runs). Can not be deleted",
    328: "flow is in use by other content (it is a subflow). Can not be deleted",
    330: "Mandatory fields not present.",
    352: "Dataset does not exist",
    353: "Dataset is not owned by you",
    354: "Dataset is in use by other content. Can not be deleted",
    361: "Unknown dataset",
    362: "No qualities found",
    370: "Illegal filter specified",
    371: "Input not safe",
    372: "No results",
    373: "Can not specify an offset without a limit",
    381: "Something wrong with XML, please check did and evaluation_engine_id",
    382: "Please provide description xml",
    383: "Problem validating uploaded description file",
    384: "Dataset not processed yet. ",
    385: "No new qualities. ",
    387: "Quality does not exist",
    392: "Run does not exist",
    393: "Run is not owned by you",
    422: "Upload problem description XML",
    423: "Problem validating uploaded description file",
    425: "Run does not exist",
    426: "Run already processed",
    428: "Database insertion error, probably due to high server load. ",
    441: "Dataset already processed",
    442: "Please provide description xml",
    443: "Problem validating uploaded description file",
    444: "Could not find dataset",
    446: "Something wrong with XML, check did and evaluation engine id",
    452: "Task does not exist",
    453: "Task is not owned by you",
    454: "Task is executed in some runs. Delete these first",
    463: "User not found. ",
    464: "User has content",
    471: "Please give entity_id {data_id, flow_id, run_id} and tag.",
    472: "Entity not found.",
    473: "Entity already tagged by this tag. ",
    475: "Tag not found.",
    476: "Tag is not owned by you",
    477: "Tags are restricted to length 64 alphanumeric and _-. characters",
    480: "Illegal filter specified",
    481: "Filter input not according to constraints",
    482: "No results",
    483: "Can not specify an offset without a limit",
    500: "No results",
    501: "Illegal filter operation",
    502: "Illegal filter value",
    503: "Can not specify an offset without a limit",
    510: "Please provide at least task, flow or setup, uploader or run, to filter results. ",
    511: "Input not safe",
    512: "No results",
    514: "Illegal filter specified",
    515: "Can not specify offset without limit",
    516: "Requested result limit too high. ",
    517: ("Problem with the study filter. The study should exists, be run-based and non-legacy"),
    540: ("Please provide at least task, flow or setup, uploader or run, to filter results. "),
    541: "Input not safe",
    542: "No results",
    544: "Illegal filter specified",
    545: "Can not specify offset without limit",
    546: "Requested result limit too high. ",
    547: 'Per fold can only be set to value "true" or "false". ',
    549: 'If set, sort should be set to either "asc" or "desc"',
    555: ("Problem with the study filter. The study should exists, be run-based and non-legacy"),
    571: "Run not found.",
    572: "No successful trace associated with this run.",
    581: "Problem with uploading the description file. ",
    582: "Could not validate run xml by xsd. ",
    584: "Unknown flow. ",
    586: "Parameter in run xml unknown. ",
    592: "Study does not exist",
    594: "Study not owned by this user",
    595: "Can only delete studies based on runs or studies in preparation",
    596: "Illegal filter. ",
    597: "Illegal filter input. ",
    598: "Can only set an offset if limit is also specified. ",
    599: "No studies according to the specified criteria. ",
    600: "Api function invoked wrong. Unknown knowledge type. ",
    601: "Study does not exist. ",
    611: "Description file not present",
    613: "Problem validating uploaded description file",
    614: "Task already exists.",
    615: "Error creating the task.",
    616: "Task contains illegal inputs.",
    617: "Task contains duplicate inputs.",
    618: "Task does not contain all required inputs.",
    621: "Task data type not in the right format.",
    622: "Input value does not match allowed values in foreign column.",
    623: "Tasks can only be created upon active datasets.",
    641: "No results",
    670: "Please specify at least one filter. ",
    671: "Illegal filter. ",
    672: "Illegal filter input. ",
    674: "No results, please check the filter. ",
    675: "Can not specify offset without limit",
    676: "Requested result limit too high. ",
    691: "Illegal status",
    692: "Dataset does not exist",
    693: "Dataset is not owned by you",
    694: "Illegal status transition",
    696: "Only admins can activate datasets",
    1031: "No description file uploaded",
    1032: "Description file does not correspond to XSD schema",
    1034: "can only link entities of the type main_entity_type",
    1035: "Can only register benchmark suite if main entity type is run",
    1036: "Referred benchmark suite not found",
    1037: "Referred benchmark suite should have main entity type task",
    1038: "Study alias not unique",
    1039: "Database insertion problem",
    1041: "Could not find study",
    1043: "Please provide post field: ids",
    1044: "Please ensure that post field ids contains a list of natural numbers",
    1045: "Problem attaching entities. Please ensure to only attach entities that exist",
    1047: "Can only attach or detach if status is in preparation.",
    1051: "Not legal status to update to",
    1052: "Could not find study",
    1053: "Study not owned by you",
    1060: "Problem validating edit_parameters xml",
    1061: "Please provide edit_parameters xml",
    1062: "Data ID is required",
    1063: "Unknown dataset",
    1064: (
        "Please provide atleast one field among description, creator, contributor, "
        "collection_date, language, citation, original_data_url, default_target_attribute, "
        "row_id_attribute, ignore_attribute or paper_url to edit. "
    ),
    1065: (
        "Critical features default_target_attribute, row_id_attribute and ignore_attribute can be "
        "edited only by the owner. Fork the dataset if changes are required."
    ),
    1066: (
        "Critical features default_target_attribute, row_id_attribute and ignore_attribute can "
        "only be edited for datasets without any tasks."
    ),
    1070: "Data ID is required",
    1071: "Unknown dataset",
    1080: "Please provide a dataset id and a topic.",
    1081: "Unknown dataset.",
    1082: "Topic can only be added/removed by admin.",
    1083: "The topic you provided is already added for this dataset.",
    1085: "Failed to find record in database.",
    1100: "Please provide mandatory POST fields",
    1101: "This description was already associated with this feature",
    1102: "Failure to write to the database",
    1103: "Could not find description in database",
    1104: "Failure to write to the database",
    1105: "Feature description too long",
    1106: "Feature description meant as ontology, but is not a valid URL",
}
"""What a production server says for each code that this one can answer with."""


class Refused(ServerError):  # noqa: N818 - an answer, not a fault of this program
    """A request that is answered with an OpenML error.

    Parameters
    ----------
    code : int
        One of OpenML's codes; its message is production's own.
    detail : str, optional
        What exactly was wrong, sent as `additional_information`.
    status : int
        The HTTP status; production sends 412 for everything.
    """

    def __init__(self, code: int, detail: str | None = None, *, status: int = 412) -> None:
        self.title = MESSAGES[code]
        super().__init__(f"{self.title}{(detail and f' - {detail}') or ''}", code)
        self.number = code
        self.detail = detail
        self.status = status
